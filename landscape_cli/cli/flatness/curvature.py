"""`flatness --kind curvature`: eigenvalues, trace and density of the Hessian of the training loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import typer

from landscape_cli.cli.console import progress
from landscape_cli.cli.flatness.curvature_options import CurvatureOptions
from landscape_cli.cli.flatness.measurement import FlatnessMeasurement, FlatnessOptions, Measurand
from landscape_cli.cli.usage import errors_of_usage

if TYPE_CHECKING:
    from torch import nn

    from landscape_cli.cli.reports.flatness import Curvatures
    from landscape_cli.io.checkpoint import Checkpoint
    from landscape_cli.measures.curvature_settings import CurvatureSettings
    from landscape_cli.sharing.share import Share, Values
    from landscape_cli.symmetry import Symmetry


class CurvatureMeasurement(FlatnessMeasurement):
    """The curvature of the loss: relative to the weights, or Euclidean."""

    takes = (*(field.name for field in fields(CurvatureOptions)), "all_parameters", "bn")

    def __init__(self, options: FlatnessOptions) -> None:
        """Check what the options ask for.

        Raises:
            BadParameter: if one is impossible, or of no use.
        """
        self._options = options
        self._settings: CurvatureSettings = options.curvature.settings(seed=0)
        if options.all_parameters and not self._settings.is_relative:
            raise typer.BadParameter("--metric euclidean is of all parameters: leave out --all-parameters")
        self.needs_symmetry = self._settings.is_relative and not options.all_parameters
        self._networks: Sequence[Checkpoint] = ()
        self._names: tuple[str, ...] = ()

    def choose(self, networks: Sequence[Checkpoint], model: nn.Module) -> dict[str, Any]:
        """Check that the loss has second derivatives.

        Raises:
            BadParameter: if it has none.
        """
        from landscape_cli.measures.curvature import check_differentiable

        with errors_of_usage():
            check_differentiable(model, networks[0].path)
        self._networks = networks
        settings = self._settings
        density = {"density_probes": settings.density_probes, "density_steps": settings.density_steps}
        return density if settings.density else {}

    def prepare(self, model: nn.Module, symmetry: Symmetry | None) -> None:
        """Settle which tensors are differentiated by, and check that this fits in memory.

        Raises:
            BadParameter: if it does not.
        """
        from landscape_cli.measures.curvature import differentiated_names, size_and_type

        self._names = differentiated_names(model, symmetry, self._settings, all_parameters=self._options.all_parameters)
        with errors_of_usage():
            for network in self._networks:
                self._settings.check_size(*size_and_type(model, network.params, self._names))

    def measure(self, measurand: Measurand, share: Share) -> tuple[Curvatures, Values]:
        """Measure the curvature of every network."""
        from landscape_cli.cli.reports.flatness import Curvatures
        from landscape_cli.evaluation.batch_norm import recompute_statistics
        from landscape_cli.evaluation.evaluator import Evaluator
        from landscape_cli.io.checkpoint import to_device
        from landscape_cli.io.records import to_record
        from landscape_cli.measures.curvature import loss_curvature, training_subset
        from landscape_cli.measures.curvature_warnings import remark_of_metric, warn_of_curvature, warn_of_losses
        from landscape_cli.measures.missing import samples_recomputed

        networks, model, data, options = measurand.networks, measurand.model, measurand.data, self._options
        settings = options.curvature.settings(measurand.seed)
        samples = options.curvature.curvature_samples
        subset = training_subset(data.train, samples, measurand.seed)
        remark_of_metric(settings)
        recomputed = samples_recomputed(model, networks[0].params, data.train, options.bn)
        frame = Curvatures(tuple(network.path for network in networks), tuple(self._names), len(subset.y))
        wanted = share.wanted(frame.groups)
        total = len(wanted) * (recomputed + (1 + settings.usual_products) * len(subset.y))

        def measured(advance: Callable[[int], None] | None) -> Iterator[Values]:
            evaluator_of = data.by_network(
                lambda seen: Evaluator(
                    model,
                    {"train": training_subset(seen.train, samples, measurand.seed)},
                    device=measurand.device,
                    advance=advance,
                )
            )
            inputs_of = data.by_network(lambda seen: seen.train.x.to(measurand.device))
            for key in wanted:
                network = networks[int(key)]
                params = to_device(network, measurand.device)
                if recomputed:
                    params = recompute_statistics(model, params, inputs_of(network), advance=advance)
                evaluator = evaluator_of(network)
                result = loss_curvature(params, evaluator, settings, names=self._names, symmetry=measurand.symmetry)
                warn_of_curvature(result, network.path)
                yield {key: to_record(result)}

        with progress("curvature", total, "samples", quiet=measurand.quiet) as advance:
            values = share.collect(measured(advance))
        if share.is_whole:
            warn_of_losses(frame.curvatures(values))
        return frame, values
