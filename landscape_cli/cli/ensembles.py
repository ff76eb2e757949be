"""The ensembles of `landscape distance`: which networks are in each, and what is measured of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from landscape_cli.cli.console import progress
from landscape_cli.cli.options import EnsembleOptions
from landscape_cli.cli.parsing import flag, given
from landscape_cli.cli.usage import errors_of_usage
from landscape_cli.errors import Remark

if TYPE_CHECKING:
    import torch
    from torch import nn

    from landscape_cli.cli.meeting import CommonInputs
    from landscape_cli.cli.pairs import Chosen
    from landscape_cli.data.datasets import DataSet
    from landscape_cli.evaluation.arithmetic import Arithmetic
    from landscape_cli.evaluation.evaluator import Evaluator
    from landscape_cli.io.checkpoint import Checkpoint
    from landscape_cli.measures.ensemble_result import Ensemble
    from landscape_cli.measures.predictions import Mixture, Predictions
    from landscape_cli.symmetry import Symmetry

SetAligner = Callable[[Sequence["Checkpoint"]], Sequence["Checkpoint"]]


def check_options(context: typer.Context, options: EnsembleOptions, *, functions: bool) -> None:
    """Check that options of ensembles go with one, and that there are predictions.

    Raises:
        BadParameter: if not, or `--same` is no number that it may be.
    """
    if not options.ensemble:
        for name in ("same", "bn"):
            if given(context, name):
                raise typer.BadParameter(f"--{name} goes with --ensemble")
        return
    if not functions:
        raise typer.BadParameter("--ensemble needs the data: leave out --no-functions")
    from landscape_cli.measures.ensemble import check_same

    with errors_of_usage():
        check_same(options.same)


def check_binary(context: typer.Context, path: str, *, binary: bool) -> None:
    """Refuse options of the mean of weights for networks that have none.

    Raises:
        BadParameter: naming the first.
    """
    for name in ("same", "bn"):
        if binary and given(context, name):
            raise typer.BadParameter(
                f"{path} is binary, and binary networks have no mean of weights: leave out {flag(name)}"
            )


def ensemble_groups(chosen: Chosen, options: EnsembleOptions) -> dict[str, list[int]]:
    """Return the networks of each ensemble, by family; of networks named one by one there is one, without a name.

    Warns:
        Remark: naming families of one network.
    """
    if not options.ensemble:
        return {}
    if not chosen.families:
        return {"": list(range(len(chosen.files)))}
    groups, count = {}, 0
    for name, files in chosen.families.items():
        groups[name] = list(range(count, count + len(files)))
        count += len(files)
    for name in [name for name, group in groups.items() if len(group) < 2]:
        warnings.warn(f"{name} is one network, and no ensemble", Remark, stacklevel=2)
        del groups[name]
    return groups


@dataclass(frozen=True)
class FunctionMeasurement:
    """What is measured of the functions that networks compute, one by one and together.

    Attributes:
        model: the architecture.
        networks: all that there are.
        data: the training and the test set.
        groups: which of the networks are in each ensemble, as `ensemble_groups` returns them.
        options: what the user says of ensembles.
        symmetry: of the networks; None where it is not known.
        common: lets networks meet that see inputs differently.
        align: returns networks aligned as a set; None to average their weights as they are.
        device: where to compute.
        arithmetic: in which numbers networks are evaluated.
    """

    model: nn.Module
    networks: Sequence[Checkpoint]
    data: DataSet
    groups: Mapping[str, Sequence[int]]
    options: EnsembleOptions
    symmetry: Symmetry | None
    common: CommonInputs
    align: SetAligner | None
    device: torch.device
    arithmetic: Arithmetic

    def measure(self, *, distributions: bool, quiet: bool) -> tuple[list[Predictions], dict[str, Ensemble]]:
        """Return what every network predicts, and what every ensemble does, by family.

        Args:
            distributions: whether distributions over classes are compared; else decisions are enough.
            quiet: whether to show no progress.
        """
        from landscape_cli.binary.layers import latent_names
        from landscape_cli.evaluation.evaluator import Evaluator
        from landscape_cli.measures.predictions import predict, predict_distributions, samples_predicted

        evaluator_of = self.data.by_network(
            lambda seen: Evaluator(
                self.model,
                {"train": seen.train, "test": seen.test},
                device=self.device,
                precision=self.arithmetic,
            )
        )
        evaluators = [evaluator_of(network) for network in self.networks]
        if not latent_names(self.model):  # binary networks have no mean of weights
            self.common.check([self.networks[k] for k in group] for group in self.groups.values())
        params = [network.params for network in self.networks]
        total = samples_predicted(len(params), evaluators[0]) if params else 0
        with progress("predicting", total, "samples", quiet=quiet) as advance:
            if not distributions:
                return predict(params, evaluators, advance=advance), {}
            groups = list(self.groups.values())
            predictions, mixtures = predict_distributions(params, evaluators, groups, advance=advance)
        return predictions, self._ensembles(evaluators, predictions, mixtures, quiet=quiet) if groups else {}

    def _ensembles(
        self,
        evaluators: Sequence[Evaluator],
        predictions: Sequence[Predictions],
        mixtures: Sequence[Mixture],
        *,
        quiet: bool,
    ) -> dict[str, Ensemble]:
        from landscape_cli.measures.ensemble import WeightMeans, warn_of_doubtful

        distinct = {id(evaluators[group[0]]): evaluators[group[0]] for group in self.groups.values()}
        means_by = {
            key: WeightMeans(evaluator, self.networks[0].params, bn=self.options.bn, same=self.options.same)
            for key, evaluator in distinct.items()
        }
        total = sum(next(iter(means_by.values())).samples(len(group)) for group in self.groups.values())
        ensembles = {}
        with progress("means of weights", total, "samples", quiet=quiet) as advance:
            for (name, group), mixture in zip(self.groups.items(), mixtures, strict=True):
                means = means_by[id(evaluators[group[0]])]
                networks: Sequence[Checkpoint] = [self.networks[k] for k in group]
                networks = self.common.of(networks) if means.there_are else networks
                spherical = all(network.normalized is not None for network in networks)
                if self.align is not None and means.there_are:
                    networks = self.align(networks)
                ensembles[name] = means.measure(
                    [predictions[k] for k in group],
                    mixture,
                    [network.params for network in networks],
                    symmetry=self.symmetry if spherical else None,
                    advance=advance,
                )
                warn_of_doubtful(ensembles[name], [network.path for network in networks])
        for means in means_by.values():
            means.warn_of_missing()
        return ensembles
