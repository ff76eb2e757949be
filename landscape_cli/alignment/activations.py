"""How units' activations on data correlate between two networks (Li et al., 2015)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from landscape_cli.alignment.unit_outputs import Activations, Flips, UnitOutputs, find_unit_outputs
from landscape_cli.arguments import check_kind, device_of
from landscape_cli.binary.layers import SignWeights, binarize
from landscape_cli.errors import ModelError
from landscape_cli.forward.functional import as_inputs, errors_of_forward, run_with
from landscape_cli.models.fitting import check_network
from landscape_cli.network import Params
from landscape_cli.symmetry import Symmetry
from landscape_cli.symmetry.checks import check_symmetry

BATCH = 64


@dataclass(frozen=True, eq=False)
class Correlations:
    """How the activations of a reference's units (rows) and of a network's (columns) correlate.

    Attributes:
        units: by permutation group, shape (units, units), summed over where the units show; without the sign where
            that is free.
        signs: by sign group, shape (units, units), with the sign; not where one shows besides that several units have
            in common.
    """

    units: Mapping[str, Tensor] = field(repr=False)
    signs: Mapping[str, Tensor] = field(repr=False)


class _RunningCorrelation:
    """Running sums of two networks' activations, from which come their correlations, in float64."""

    def __init__(self, units: int, device: torch.device) -> None:
        self.count = 0
        self.cross = torch.zeros(units, units, dtype=torch.float64, device=device)
        self.sums = [torch.zeros(units, dtype=torch.float64, device=device) for _ in range(2)]
        self.squares = [torch.zeros(units, dtype=torch.float64, device=device) for _ in range(2)]
        self.shift: list[Tensor] = []

    def add(self, reference: Tensor, network: Tensor) -> None:
        """Add activations of shape (samples, units)."""
        both = [reference.double(), network.double()]
        if not self.shift:  # near the mean, so that little is lost when its square is subtracted
            self.shift = [values.mean(dim=0) for values in both]
        both = [values - shift for values, shift in zip(both, self.shift, strict=True)]
        self.count += len(reference)
        self.cross += both[0].T @ both[1]
        for k, values in enumerate(both):
            self.sums[k] += values.sum(dim=0)
            self.squares[k] += (values**2).sum(dim=0)

    def correlation(self) -> Tensor:
        """Return the correlations, shape (units, units); a unit that never changes correlates 0 with all."""
        means = [total / self.count for total in self.sums]
        deviations = []
        for mean, square in zip(means, self.squares, strict=True):
            mean_square = square / self.count
            variance = mean_square - mean**2
            deviations.append(torch.where(variance > 1e-12 * mean_square, variance, 0.0).sqrt())
        covariance = self.cross / self.count - means[0][:, None] * means[1][None]
        norms = deviations[0][:, None] * deviations[1][None]
        return torch.where(norms > 0, covariance / norms, 0.0)


_Sum = tuple[_RunningCorrelation, Flips | None, bool]


@torch.no_grad()
def unit_correlations(
    model: nn.Module,
    reference: Params,
    params: Params,
    symmetry: Symmetry,
    inputs: Tensor,
    *,
    network_inputs: Tensor | None = None,
    device: torch.device | str = "cpu",
    advance: Callable[[int], None] | None = None,
) -> Correlations:
    """Return how the activations of the reference's units (rows) and of the network's (columns) correlate.

    Units show in the outputs of the modules that own their gains (after a norm layer), or, where there are none,
    their incoming weights; correlations are summed over them. Over samples and over all places of an image or
    sequence alike. Of a binary layer's outputs the signs count, which are what its units become.

    Their sums are what `align` makes largest by method "activation" (Li et al., 2015; docs/method.md: Align).

    Args:
        model: the architecture, put in evaluation mode; its own parameters are not used.
        reference: one network.
        params: the other.
        symmetry: the symmetry of both.
        inputs: shape (samples, ...).
        network_inputs: the same samples as the network sees them, where the reference sees them otherwise.
        device: where to compute.
        advance: called with the number of samples done, for a progress bar.

    Returns:
        The correlations, shape (units, units) for every group, float64, on the CPU. Groups whose units show in no
        module's output are missing: those of blocks, and those that bare parameters or several projections in one
        write.

    Raises:
        GeometryError: if the symmetry is of another model.
        ModelError: if a network does not fit the model, or that does not run on the inputs.
    """
    check_network("the reference", model, reference)
    check_network("the network", model, params)
    check_symmetry(symmetry, reference)
    check_kind("inputs", inputs, Tensor, "give inputs as a tensor, such as data.train.x", ModelError)
    if network_inputs is not None:
        check_kind("network_inputs", network_inputs, Tensor, "give the same samples as a tensor", ModelError)
        if network_inputs.shape != inputs.shape:
            raise ModelError(
                f"`network_inputs=` has shape {tuple(network_inputs.shape)}, `inputs=` {tuple(inputs.shape)}: give the "
                "same samples"
            )
    device = device_of(device)
    model.eval()
    shown = find_unit_outputs(model, symmetry)
    networks = [{name: tensor.to(device) for name, tensor in network.items()} for network in (reference, params)]
    dtype = next(tensor.dtype for tensor in params.values() if tensor.is_floating_point())
    sums: dict[str, list[_Sum]] = {}
    both_inputs = (inputs, inputs if network_inputs is None else network_inputs)
    for batches in zip(*(each.split(BATCH) for each in both_inputs), strict=True):
        seen = [as_inputs(batch, dtype).to(device) for batch in batches]
        with errors_of_forward(f"inputs of shape {tuple(inputs.shape[1:])}"):
            outputs = [_module_outputs(model, network, x, shown) for network, x in zip(networks, seen, strict=True)]
        for name, unit_outputs in shown.items():
            both = [[each for shows in unit_outputs for each in shows.activations(of)] for of in outputs]
            _add(sums, name, *both)
        if advance is not None:
            advance(len(batches[0]))
    return _correlations(sums)


def _add(
    sums: dict[str, list[_Sum]], name: str, reference: Sequence[Activations], network: Sequence[Activations]
) -> None:
    """Add the activations of a group's units in two networks, place by place, to its sums."""
    if not reference:
        return
    if name not in sums:
        sums[name] = [
            (_RunningCorrelation(values.shape[1], values.device), flips, joint) for values, flips, joint in reference
        ]
    for (running, _, _), (values, *_), (values_of_network, *_) in zip(sums[name], reference, network, strict=True):
        running.add(values, values_of_network)


def _correlations(sums: Mapping[str, Sequence[_Sum]]) -> Correlations:
    """Return the correlations summed over the places where units show, with their sign and without."""
    units: dict[str, Tensor] = {}
    signs: dict[str, Tensor] = {}
    for name, of_group in sums.items():
        for running, flips, joint in of_group:
            correlation = running.correlation().cpu()
            if flips is not None and not joint:
                empty = torch.zeros(flips.size, flips.size, dtype=torch.float64)
                rows, columns = flips.units[:, None], flips.units[None]
                signs.setdefault(flips.group, empty).index_put_((rows, columns), correlation, accumulate=True)
            if flips is not None or joint:
                correlation = correlation.abs()
            units[name] = units[name] + correlation if name in units else correlation
    return Correlations(units, signs)


def _module_outputs(
    model: nn.Module, params: Params, x: Tensor, shown: Mapping[str, Sequence[UnitOutputs]]
) -> dict[str, list[Tensor]]:
    """Return what the modules put out, call by call."""
    every = [shows for unit_outputs in shown.values() for shows in unit_outputs]
    outputs: dict[str, list[Tensor]] = {module: [] for shows in every for module in shows.modules}
    with _hooks(model, outputs):
        run_with(model, params, x)
    return outputs


@contextmanager
def _hooks(model: nn.Module, outputs: dict[str, list[Tensor]]) -> Iterator[None]:
    modules = dict(model.named_modules())

    def keep(name: str) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            if isinstance(output, Tensor):  # a copy: what follows may work in place
                outputs[name].append(binarize(output) if isinstance(module, SignWeights) else output.clone())

        return hook

    handles = [modules[name].register_forward_hook(keep(name)) for name in outputs]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
