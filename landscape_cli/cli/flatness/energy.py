"""`flatness --kind energy`: how the error grows as weights are perturbed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from landscape_cli.choices import Perturbation
from landscape_cli.cli.console import check_networks, progress
from landscape_cli.cli.flatness.energy_options import choose_perturbation, parse_strengths
from landscape_cli.cli.flatness.measurement import FlatnessMeasurement, FlatnessOptions, Measurand

if TYPE_CHECKING:
    from torch import nn

    from landscape_cli.cli.reports.flatness import Energies
    from landscape_cli.data.datasets import DataSet
    from landscape_cli.evaluation.evaluator import Evaluator
    from landscape_cli.io.checkpoint import Checkpoint
    from landscape_cli.measures.perturbation import WeightPerturbation
    from landscape_cli.sharing.share import Share, Values
    from landscape_cli.symmetry import Symmetry


class EnergyMeasurement(FlatnessMeasurement):
    """Local energy under noise, of binary networks under flips of signs."""

    takes = (*(choice.value for choice in Perturbation), "all_parameters", "samples", "test", "bn")

    def __init__(self, options: FlatnessOptions) -> None:
        """Parse the strengths of every perturbation, before it is known which suits the networks.

        Raises:
            BadParameter: if one is no number, or no strength.
        """
        self._options = options
        self._parsed = parse_strengths(options.strengths)
        self._perturbation: WeightPerturbation | None = None
        self._names: tuple[str, ...] = ()

    def choose(self, networks: Sequence[Checkpoint], model: nn.Module) -> dict[str, Any]:
        """Choose the perturbation by whether networks are binary.

        Raises:
            BadParameter: if options are for networks of the other kind, or for several perturbations.
        """
        from landscape_cli.binary.layers import latent_names

        binary = bool(latent_names(model))
        self.needs_symmetry = not (binary or self._options.all_parameters)
        self._perturbation, self._levels, text = choose_perturbation(
            self._parsed,
            self._options.strengths,
            networks[0].path,
            binary=binary,
            all_parameters=self._options.all_parameters,
        )
        return {self._perturbation.name: text}

    def prepare(self, model: nn.Module, symmetry: Symmetry | None) -> None:
        """Settle which tensors are perturbed."""
        from landscape_cli.measures.flatness import perturbed_names

        self._names = perturbed_names(model, symmetry, all_parameters=self._options.all_parameters)

    def measure(self, measurand: Measurand, share: Share) -> tuple[Energies, Values]:
        """Measure the local energy of every network."""
        from landscape_cli.cli.reports.flatness import Energies
        from landscape_cli.evaluation.evaluator import Evaluator
        from landscape_cli.io.checkpoint import to_device
        from landscape_cli.measures.flatness import PerturbedNetworks, warn_of_missing_draws
        from landscape_cli.measures.items import measure_items
        from landscape_cli.measures.local_energy import EnergyFrame
        from landscape_cli.measures.missing import samples_recomputed

        assert self._perturbation is not None
        kind, levels = self._perturbation, self._levels
        networks, model, data, options = measurand.networks, measurand.model, measurand.data, self._options
        recomputed = samples_recomputed(model, networks[0].params, data.train, options.bn)
        setting: dict[str, Any] = {"device": measurand.device, "recompute_on": "train" if recomputed else None}
        setting["precision"] = measurand.arithmetic

        def make_evaluator(seen: DataSet) -> Evaluator:
            splits = {"train": seen.train} | ({"test": seen.test} if options.test else {})
            return Evaluator(model, splits, **setting)

        evaluator_of = data.by_network(make_evaluator)
        evaluator = evaluator_of(networks[0])
        paths = tuple(network.path for network in networks)
        frame = Energies(
            paths, tuple(self._names), EnergyFrame(kind.name, tuple(levels), options.samples, evaluator.facts)
        )
        check_networks(frame.items)  # before each is given a key
        wanted = share.wanted(frame.groups, block=evaluator.block(networks[0].params))
        drawn: dict[str, Any] = {"names": self._names, "samples": options.samples, "seed": measurand.seed}
        total = len(wanted) * (recomputed + evaluator.samples)

        def measured(advance: Callable[[int], None] | None) -> Iterator[Values]:
            for k, keys in groupby(wanted, key=lambda key: int(key.partition("/")[0])):
                params = to_device(networks[k], measurand.device)
                perturbed = PerturbedNetworks(params, model, kind, levels, **drawn)
                evaluator = evaluator_of(networks[k])
                evaluator.advance = advance
                yield from measure_items(evaluator, list(keys), perturbed.at, params)

        with progress("flatness", total, "samples", quiet=measurand.quiet, networks=len(wanted)) as advance:
            values = share.collect(measured(advance))
        for path, energy in frame.energies(values) if share.is_whole else ():
            warn_of_missing_draws(energy, path)
        return frame, values
