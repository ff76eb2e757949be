"""REPAIR: each unit's mean and deviation between two networks put back to between theirs (Jordan et al., 2022).

See docs/method.md: Paths and barriers.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from landscape_cli.alignment.unit_outputs import find_unit_outputs, writing_dim
from landscape_cli.errors import GeometryError, Remark, listed
from landscape_cli.evaluation.batch_norm import (
    Moments,
    batches_alike,
    moments,
    size_of_batches,
    tracked_statistics,
)
from landscape_cli.forward.functional import (
    as_inputs,
    cast_floats,
    errors_of_forward,
    float_type,
    run_with,
    unsaved_buffers,
    working_type,
)
from landscape_cli.forward.memory import largest_activation
from landscape_cli.forward.outputs import all_outputs
from landscape_cli.network import Params
from landscape_cli.rng import generator
from landscape_cli.symmetry import Symmetry
from landscape_cli.symmetry.apart import apart
from landscape_cli.symmetry.checks import check_symmetry

FLOOR = 1e-5
"""Of a layer's mean variance, added to every unit's, as batch-norm adds its ε, for units that hardly change."""
ROUNDING = 1e-3
"""By how much of the largest output a folded layer may differ from one whose outputs are corrected."""


@dataclass(frozen=True, eq=False)
class _Layer:
    """A module whose outputs are corrected by its weight and bias.

    Attributes:
        module: its name.
        dim: the axis of its output that its channels are on.
        writes: the axis of its weight that they are on.
        hidden: which channels are hidden units, shape (channels,), bool.
        bias: whether it has one.
    """

    module: str
    dim: int
    writes: int
    hidden: Tensor
    bias: bool

    def corrected(self, output: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """Return outputs whose channels are scaled, then shifted."""
        sizes = [1] * output.ndim
        sizes[self.dim] = -1
        return output * scale.to(output.dtype).view(sizes) + shift.to(output.dtype).view(sizes)

    def folded(self, params: Params, scale: Tensor, shift: Tensor) -> dict[str, Tensor]:
        """Return the weight and bias with which the module itself puts that out, by name."""
        weight = params[f"{self.module}.weight"]
        sizes = [1] * weight.ndim
        sizes[self.writes] = -1
        result = {f"{self.module}.weight": (weight.double() * scale.view(sizes)).to(weight.dtype)}
        if self.bias:
            bias = params[f"{self.module}.bias"]
            result[f"{self.module}.bias"] = (bias.double() * scale + shift).to(bias.dtype)
        return result


Affine = tuple[Tensor, Tensor]
"""By which channels are scaled, and then shifted, shape (channels,) each, float64."""


class Repair:
    """Corrects networks between two others of one model, on the inputs that the units' statistics are over.

    Attributes:
        modules: the names of the modules whose units are corrected, in the model's order.
        samples: how many inputs there are, which each network runs on once.
    """

    def __init__(
        self,
        model: nn.Module,
        symmetry: Symmetry,
        like: Params,
        x: Tensor,
        *,
        advance: Callable[[int], None] | None = None,
    ) -> None:
        """Find the modules whose outputs show hidden units, and that can be corrected by their weights.

        Args:
            model: the architecture, put in evaluation mode; its own parameters are not used.
            symmetry: of all networks: it tells hidden units.
            like: one of the networks.
            x: inputs, shape (n, *input_shape), where networks will be.
            advance: called with the number of inputs done, for a progress bar.

        Raises:
            GeometryError: if the networks have batch-norm, or binary layers, or nothing that could be corrected.

        Warns:
            Remark: of what is not corrected, or not in its mean.
        """
        check_symmetry(symmetry, like)
        symmetry = apart(symmetry)
        self._model, self._x, self._advance = model.eval(), x, advance
        self._constants = unsaved_buffers(model)
        if symmetry.latents:
            raise GeometryError("`repair=` is not for binary networks, whose weights are signs: leave it out")
        if tracked_statistics(model, like, x[:2]):
            raise GeometryError(
                "`repair=` is for networks without batch-norm, whose statistics do the same: use `bn=` recompute"
            )
        shown = _layers(model, symmetry, like, x.device)
        self._layers = self._exact(like, shown)
        if not self._layers:
            raise GeometryError("`repair=` changes nothing: no module puts out hidden units by a weight of its own")
        self.modules = tuple(layer.module for layer in self._layers)
        self.samples = len(x)
        left = [layer.module for layer in shown if layer not in self._layers]
        placed = find_unit_outputs(model, symmetry)
        left += [group.name for group in symmetry.permutations if not group.inside and group.name not in placed]
        if left:
            warnings.warn(
                f"`repair=` leaves units as they are that no module puts out alone: {listed(left)}", Remark, 2
            )
        if unbiased := [layer.module for layer in self._layers if not layer.bias]:
            warnings.warn(f"`repair=` corrects deviations alone where there is no bias: {listed(unbiased)}", Remark, 2)
        tensors = self._tensors(like)
        elements = largest_activation(lambda batch: self._outputs(tensors, batch), x[:2])
        self._batch_size = size_of_batches(len(x), float_type(tensors).itemsize * elements, x.device.type)

    def statistics(self, params: Params) -> dict[str, Moments]:
        """Return the moments of all channels that a network's layers put out, by module."""
        pooled: dict[str, Moments] = {}
        self._run(params, lambda layer, batch: None, pooled)
        return pooled

    def at(
        self, network: Params, tau: float, start: Mapping[str, Moments], end: Mapping[str, Moments]
    ) -> dict[str, Tensor]:
        """Return a network at τ between two others, its units' means and deviations between theirs.

        Args:
            network: at τ on some path.
            tau: where, from 0 at the start to 1 at the end.
            start: the `statistics` of the start.
            end: those of the end.

        Returns:
            The network with other weights and biases, in its dtypes; tensors that are not corrected are shared.
        """
        if tau in {0.0, 1.0}:
            return dict(network)
        pooled: dict[str, Moments] = {}

        def correction(layer: _Layer, seen: Moments) -> Affine:
            return _correction(layer, seen, start[layer.module], end[layer.module], tau)

        self._run(network, correction, pooled)
        result = dict(network)
        for layer in self._layers:
            result |= layer.folded(network, *correction(layer, pooled[layer.module]))
        return result

    def along(
        self, start: Params, end: Params, taus: Sequence[float], networks: Iterable[Params]
    ) -> Iterator[dict[str, Tensor]]:
        """Yield the networks at these τ between two others, corrected."""
        ends = [self.statistics(network) for network in (start, end)]
        for tau, network in zip(taus, networks, strict=True):
            yield self.at(network, tau, *ends)

    @torch.no_grad()
    def _run(
        self,
        params: Params,
        correction: Callable[[_Layer, Moments], Affine | None],
        pooled: dict[str, Moments],
    ) -> None:
        """Run a network on all inputs, each layer's outputs corrected by those of its batch, and pool their moments."""

        def correct(layer: _Layer, output: Tensor) -> Tensor:
            seen = moments(output.movedim(layer.dim, 1))
            pooled[layer.module] = pooled[layer.module] + seen if layer.module in pooled else seen
            affine = correction(layer, seen)
            return output if affine is None else layer.corrected(output, *affine)

        tensors = self._tensors(params)
        with _hooks(self._model, self._layers, correct):
            for batch in batches_alike(self._x, self._batch_size):
                self._outputs(tensors, batch)
                if self._advance is not None:
                    self._advance(len(batch))

    def _tensors(self, params: Params) -> dict[str, Tensor]:
        """Return a network in float32 or better, with the model's unsaved buffers."""
        return cast_floats({**self._constants, **params}, working_type(params), self._x.device)

    def _outputs(self, tensors: Params, x: Tensor) -> Any:
        """Return what a network puts out of inputs, in its own type."""
        return run_with(self._model, tensors, as_inputs(x, float_type(tensors)))

    @torch.no_grad()
    def _exact(self, params: Params, layers: Sequence[_Layer]) -> list[_Layer]:
        """Return the layers that run once, and of which folding a correction into the weights does what it says."""
        tensors, examples = self._tensors(params), self._x[:2]
        calls: dict[str, int] = {layer.module: 0 for layer in layers}

        def count(layer: _Layer, output: Tensor) -> Tensor:
            calls[layer.module] += 1
            return output

        with errors_of_forward("the samples"), _hooks(self._model, layers, count):
            self._outputs(tensors, examples)
        return [layer for layer in layers if calls[layer.module] == 1 and self._folds(layer, tensors, examples)]

    def _folds(self, layer: _Layer, tensors: Params, examples: Tensor) -> bool:
        """Tell whether a layer of other weights puts out what it should, and nothing else changes by them."""
        source = generator(0)
        channels = len(layer.hidden)
        scale = 0.5 + torch.rand(channels, generator=source, dtype=torch.float64).to(examples.device)
        shift = torch.randn(channels, generator=source, dtype=torch.float64).to(examples.device) * layer.bias
        seen: list[Tensor] = []

        def correct(layer: _Layer, output: Tensor) -> Tensor:
            corrected = layer.corrected(output, scale, shift)
            seen.append(corrected.clone())  # what follows may work in place
            return corrected

        def keep(layer: _Layer, output: Tensor) -> Tensor:
            seen.append(output.clone())
            return output

        for network, hook in ((tensors, correct), ({**tensors, **layer.folded(tensors, scale, shift)}, keep)):
            with _hooks(self._model, [layer], hook):
                seen += all_outputs(self._outputs(network, examples))
        half = len(seen) // 2
        return all(
            bool((a - b).abs().max() <= ROUNDING * b.abs().max()) for a, b in zip(seen[:half], seen[half:], strict=True)
        )


def _layers(model: nn.Module, symmetry: Symmetry, params: Params, device: torch.device) -> list[_Layer]:
    """Return the modules that put out hidden units, in the model's order."""
    modules = dict(model.named_modules())
    found: dict[str, _Layer] = {}
    for outputs in (each for of_group in find_unit_outputs(model, symmetry).values() for each in of_group):
        if f"{outputs.module}.weight" not in params:  # made of parts
            continue
        module = modules[outputs.module]
        writes = writing_dim(module)
        weight = params[f"{outputs.module}.weight"]
        assert writes is not None
        if outputs.module not in found:
            hidden = torch.zeros(weight.shape[writes], dtype=torch.bool, device=device)
            bias = f"{outputs.module}.bias" in params
            found[outputs.module] = _Layer(outputs.module, outputs.dim, writes, hidden, bias)
        found[outputs.module].hidden[outputs.table.flatten().to(device)] = True
    return [found[name] for name in modules if name in found]


def _correction(layer: _Layer, seen: Moments, start: Moments, end: Moments, tau: float) -> Affine:
    """Return by what to scale and shift the channels of hidden units, and to leave the others as they are."""
    deviation, of_start, of_end = ((part.squares / part.count).sqrt() for part in (seen, start, end))
    wanted = (1 - tau) * of_start + tau * of_end
    floor = FLOOR * wanted.square().mean()
    scale = ((wanted.square() + floor) / (deviation.square() + floor)).sqrt()
    scale = torch.where(layer.hidden & scale.isfinite(), scale, 1.0)
    mean = (1 - tau) * start.mean + tau * end.mean
    shift = torch.where(layer.hidden, mean - scale * seen.mean, 0.0) * layer.bias
    return scale, shift


@contextmanager
def _hooks(model: nn.Module, layers: Sequence[_Layer], hook: Callable[[_Layer, Tensor], Tensor]) -> Iterator[None]:
    """Put what a function returns in place of what the layers put out."""
    modules = dict(model.named_modules())

    def on(layer: _Layer) -> Any:
        return modules[layer.module].register_forward_hook(lambda module, args, output: hook(layer, output))

    handles = [on(layer) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
