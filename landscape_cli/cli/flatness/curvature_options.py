"""The options of `flatness --kind curvature`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from landscape_cli.choices import HessianMetric
from landscape_cli.cli.groups import Group
from landscape_cli.cli.options import LARGEST_COUNT
from landscape_cli.cli.parsing import flag
from landscape_cli.cli.usage import errors_of_usage

if TYPE_CHECKING:
    from landscape_cli.measures.curvature_settings import CurvatureSettings


PROBES, STEPS = 4, 64


@dataclass(frozen=True)
class CurvatureOptions(Group):
    """What is computed of the Hessian of the training loss."""

    panel = "Kind curvature: the Hessian of the training loss"

    eigenvalues: Annotated[
        int,
        typer.Option(
            "--eigenvalues", min=0, max=LARGEST_COUNT, help="How many of the largest eigenvalues; 0 for none."
        ),
    ] = 1
    smallest: Annotated[bool, typer.Option("--smallest", help="Compute the least eigenvalue too.")] = False
    trace_samples: Annotated[
        int,
        typer.Option(
            "--trace-samples",
            min=0,
            max=LARGEST_COUNT,
            help="Random vectors to estimate the trace with; 0 for no trace.",
        ),
    ] = 16
    density: Annotated[
        bool, typer.Option("--density", help="Estimate the density of all eigenvalues too, as --plot draws it.")
    ] = False
    density_probes: Annotated[
        int | None,
        typer.Option(
            "--density-probes",
            min=1,
            max=LARGEST_COUNT,
            help=f"Density: random vectors to estimate it with.  [default: {PROBES}]",
        ),
    ] = None
    density_steps: Annotated[
        int | None,
        typer.Option(
            "--density-steps",
            min=1,
            max=LARGEST_COUNT,
            help=f"Density: Lanczos steps, and so nodes, for each.  [default: {STEPS}]",
        ),
    ] = None
    metric: Annotated[
        HessianMetric,
        typer.Option(
            "--metric",
            help="Coordinates: multiples of the weights (D H D, D = diag(θ)), which no rescaling of units changes, or "
            "the numbers in the file, all parameters (H).",
        ),
    ] = HessianMetric.RELATIVE
    tolerance: Annotated[
        float, typer.Option("--tolerance", help="Residuals, relative to eigenvalues, at which these are exact enough.")
    ] = 1e-2
    curvature_samples: Annotated[
        int | None,
        typer.Option(
            "--curvature-samples",
            min=1,
            help="Measure on so many training samples, as many of each class.  [default: all]",
        ),
    ] = None

    def settings(self, seed: int) -> CurvatureSettings:
        """Return what they ask of the library.

        Raises:
            BadParameter: if one is impossible, or of no use without another.
        """
        from landscape_cli.measures.curvature_settings import CurvatureSettings

        for name in ("density_probes", "density_steps"):
            if getattr(self, name) is not None and not self.density:
                raise typer.BadParameter(f"{flag(name)} goes with --density")
        with errors_of_usage():
            return CurvatureSettings(
                eigenvalues=self.eigenvalues,
                smallest=self.smallest,
                trace_samples=self.trace_samples,
                density=self.density,
                density_probes=self.density_probes or PROBES,
                density_steps=self.density_steps or STEPS,
                metric=self.metric,
                tolerance=self.tolerance,
                seed=seed,
            )
