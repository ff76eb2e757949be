"""The options of lines and planes through one network; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from landscape_cli.choices import DirectionNorm
from landscape_cli.cli.groups import Group
from landscape_cli.cli.pairs import natural
from landscape_cli.cli.parsing import flag, given, numbers
from landscape_cli.cli.usage import errors_of_usage
from landscape_cli.measures.surroundings_settings import AUTO, NAMES, SurroundingsSettings

METAVAR = "random|gradient|hessian|pca|FILE"
WHERE_TO = (
    "random; the gradient of the training loss; the leading eigenvectors of its Hessian; pca, the principal directions "
    "of all networks named, the last of which is at the origin; towards the network of a FILE, at 1."
)


@dataclass(frozen=True)
class SurroundingsOptions(Group):
    """Where to, and how far."""

    panel = "Around one network"
    named_by: ClassVar[str]
    axes: ClassVar[int]

    normalize_directions: Annotated[
        DirectionNorm | None,
        typer.Option(
            "--normalize-directions",
            help="How long directions are: filter, each unit's weights as long as the network's; layer, each tensor; "
            "none, of length 1.  [random: filter, others: none]",
        ),
    ] = None
    limits: Annotated[
        str | None,
        typer.Option(
            "--range",
            metavar="LOW,HIGH|auto",
            help="Where axes end, in units of the directions, or with four numbers x and then y; auto: where the "
            "training error has grown by --growth.  [-1,1; and as far as networks are that are shown]",
        ),
    ] = None
    growth: Annotated[
        float | None, typer.Option("--growth", help="Range auto: growth of the error.  [default: 0.1]")
    ] = None
    on_torus: Annotated[
        bool,
        typer.Option(
            "--on-torus", help="Let every unit of a normalised network turn on its sphere: all points are normalised."
        ),
    ] = False
    all_parameters: Annotated[
        bool,
        typer.Option(
            "--all-parameters", help="Move biases and norm layers, too, along random directions, gradient and hessian."
        ),
    ] = False

    @property
    def named(self) -> str | None:
        """Where to, as the user named it."""
        value: str | None = getattr(self, self.named_by)
        return value

    def settings(self) -> SurroundingsSettings:
        """Return what is asked for, checked.

        Raises:
            BadParameter: if it makes no sense, or names a file that is not there.
        """
        names = [part.strip() for part in (self.named or "").split(",")]
        for name in names:
            if name not in NAMES and not Path(name).is_file():
                missing = "names the file {}, which does not exist"
                other = f"takes {', '.join(NAMES)} or files of networks, and '{{}}' is none of them"
                words = missing if Path(name).suffix or len(Path(name).parts) > 1 else other
                raise typer.BadParameter(f"{flag(self.named_by)} {words.format(name)}")
        limits = self.limits if self.limits in {None, AUTO} else numbers(str(self.limits), "--range")
        with errors_of_usage():
            return SurroundingsSettings(
                names,
                self.axes,
                self.normalize_directions,
                limits,
                self.growth,
                on_torus=self.on_torus,
                all_parameters=self.all_parameters,
                named_by=self.named_by,
            )

    def check_unused(self, context: typer.Context) -> None:
        """Check that none of the other options is given, where no direction is.

        Raises:
            BadParameter: naming one.
        """
        for field in fields(self):
            if field.name not in {self.named_by, "project"} and given(context, field.name):
                raise typer.BadParameter(f"{flag(field.name)} goes with {flag(self.named_by)}: leave it out")


@dataclass(frozen=True)
class PlaneOptions(SurroundingsOptions):
    """Those of planes."""

    named_by = "directions"
    axes = 2

    directions: Annotated[
        str | None,
        typer.Option(
            "--directions",
            metavar=f"{METAVAR},…",
            help=f"A plane through one network, along two directions, or one that gives both: {WHERE_TO}",
        ),
    ] = None
    project: Annotated[
        list[str] | None,
        typer.Option(
            "--project",
            metavar="FILE",
            help="Also show where this network lies, measured itself, and how far from the plane; a pattern in quotes, "
            "or several times, for several.",
        ),
    ] = None


@dataclass(frozen=True)
class LineOptions(SurroundingsOptions):
    """Those of lines, also beyond the ends of paths."""

    named_by = "direction"
    axes = 1

    direction: Annotated[
        str | None,
        typer.Option(
            "--direction", metavar=METAVAR, help=f"A line through one network, in place of a path: {WHERE_TO}"
        ),
    ] = None


OF_TWO = (
    *(
        "kind",
        "begin",
        "stop",
        "orders",
        "pairs",
        "both_ways",
        "align",
        "optimize_midpoint",
        "midpoints",
        "epochs",
        "lr",
        "optimizer",
    ),
    *("lr_schedule", "momentum", "batch_size", "until_error", "midpoint_out", "repair", "strict"),
)
"""Options of `path` that are about two networks."""


def check_line(context: typer.Context) -> None:
    """Check that no option of paths between networks is given with a line through one.

    Raises:
        BadParameter: naming one.
    """
    from landscape_cli.cli.connector.options import ConnectorOptions
    from landscape_cli.cli.merging import NetworkOptions

    of_groups = [field.name for group in (ConnectorOptions, NetworkOptions) for field in fields(group)]
    for name in (*OF_TWO, *of_groups):
        if given(context, name):
            other = ", or say how far with --range, as in --range -0.5,1" if name in {"begin", "stop"} else ""
            raise typer.BadParameter(f"{flag(name)} is for paths between networks: leave it or --direction out{other}")


def in_order(files: Sequence[Path]) -> list[Path]:
    """Return files as they were named; in natural order (2 before 10) if a shell has sorted them by letters."""
    if [str(file) for file in files] == sorted(map(str, files)):
        return sorted(files, key=natural)
    return list(files)
