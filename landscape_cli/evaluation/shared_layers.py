"""First layers of networks that are combinations of others: what they make of the inputs is the same combination.

On a line, in a plane or a simplex, and for noise of one draw at several strengths, pre-activations of layers that read
the inputs are sums of a few that are computed once for all points. See docs/performance.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from landscape_cli.errors import ModelError
from landscape_cli.forward.combination import Combination, combine
from landscape_cli.forward.functional import as_inputs, float_type, run_with
from landscape_cli.forward.memory import MIB, as_channels_last
from landscape_cli.rng import generator

if TYPE_CHECKING:
    from landscape_cli.evaluation.runners import Batch, OneByOne, Outputs
    from landscape_cli.network import Params

KEPT_BYTES = 256 * MIB
"""What pre-activations may take that are kept from one chunk of networks to the next."""
LEAST_SHARE = 0.1
"""Of a network's products, how many a first layer does where sharing it was measured to pay: an MLP's does 43 %, those
of VGG16, ResNets and vision transformers at most 7 %."""
LEAST_FAN_IN = 64
"""Of a unit: with fewer inputs, as in LeNet, the sum costs what the layer does."""
SHAKING_SEED = 0

LAYERS: Mapping[Callable[..., Tensor], int] = {F.linear: -1, torch.conv2d: 1}
"""The functions that such layers compute by, and along which axis of the result units lie."""


class SharedLayers:
    """Combinations of the same networks, one after another, whose first layers are computed for all at once.

    Sums are the direct way's up to rounding, and the same whichever networks come together in a chunk.
    """

    def __init__(self, model: nn.Module, one_by_one: OneByOne, examples: Tensor) -> None:
        """Keep what runs the rest, and a few inputs to find first layers by."""
        self._model, self._one_by_one, self._examples = model, one_by_one, examples
        self._first: dict[str, str | None] | None = None
        self._kept: dict[int, tuple[Tensor, dict[tuple[Any, ...], Tensor]]] = {}
        self._of_batch: dict[tuple[Any, ...], Tensor] = {}
        self._inputs: dict[str, Tensor] = {}

    def load(self, chunk: Sequence[Params]) -> Outputs | None:
        """Return what runs combinations so, and other networks as they are; None if nothing can be shared."""
        members = [params for params in chunk if isinstance(params, Combination)]
        if members and self._first is None:
            self._first = first_layers(self._model, members[0], self._examples)
        if not members or not self._first:
            return None
        used = {id(tensor) for params in members for name in self._first for tensor, _ in params.parts(name)}
        self._kept = {key: kept for key, kept in self._kept.items() if key in used}
        return self._outputs_of(chunk, self._first)

    def pre_activations(
        self, layer: Callable[..., Tensor], args: Sequence[Any], network: Combination, name: str, batch: Batch
    ) -> Tensor:
        """Return what a first layer of a network makes of a batch.

        Args:
            layer: the function that computes it.
            args: its arguments: inputs, the weight, perhaps the bias, and what else there is.
            network: on the device.
            name: of the weight.
            batch: which one it is.
        """
        assert self._first is not None
        x, _, bias, *others = [*args, None][: max(3, len(args))]
        parts, bias_name = network.parts(name), self._first[name]
        if not parts or not _same(x, self._inputs.setdefault(name, x)):
            return layer(*args)
        biases = network.parts(bias_name) if bias_name is not None else ()
        # Where weight and bias go together, an end's pre-activations are its own, bit for bit.
        together = [weight for _, weight in parts] == [weight for _, weight in biases] if _numbers(parts) else False
        basis = []
        for k, (tensor, coefficient) in enumerate(parts):
            offset = biases[k][0] if together else None
            key = (id(tensor), id(offset), batch.split, batch.start, len(batch.y))
            basis.append((self._of_basis(key, layer, x, tensor, offset, *others), coefficient))
        total = combine(basis, units=LAYERS[layer])
        if bias is not None and not together:
            shape = [1] * total.ndim
            shape[LAYERS[layer]] = -1
            total.add_(bias.view(shape))
        return total

    def _outputs_of(self, chunk: Sequence[Params], first: Mapping[str, str | None]) -> Outputs:
        def outputs(batch: Batch) -> Iterable[Tensor]:
            self._of_batch, self._inputs = {}, {}
            for params in chunk:
                if isinstance(params, Combination):
                    with _Intercepted(self, params, first, batch):
                        result = self._one_by_one.run(params, batch.x)
                    yield result
                else:
                    yield self._one_by_one.run(params, batch.x)

        return outputs

    def _of_basis(
        self, key: tuple[Any, ...], layer: Callable[..., Tensor], x: Tensor, weight: Tensor, *others: Any
    ) -> Tensor:
        """Return the pre-activations of a network that others are made of, from memory where they are there."""
        of_weight = self._kept.setdefault(key[0], (weight, {}))[1]
        if key in of_weight:
            return of_weight[key]
        if key not in self._of_batch:
            self._of_batch[key] = layer(x, as_channels_last(weight), *others)
            size = sum(z.numel() * z.element_size() for _, kept in self._kept.values() for z in kept.values())
            if size + self._of_batch[key].numel() * self._of_batch[key].element_size() <= KEPT_BYTES:
                of_weight[key] = self._of_batch[key]
        return self._of_batch[key]


def first_layers(model: nn.Module, network: Params, examples: Tensor) -> dict[str, str | None]:
    """Return the weights of layers that read the inputs, whatever the network is, by name, each with its bias's name.

    The model is run twice, with the network and with it shaken: what a first layer reads is the same. Layers that do
    too few of the products to pay are left out.

    Args:
        model: the architecture, in evaluation mode.
        network: any one, on the device.
        examples: a few samples, shape (n, *input_shape).
    """
    source = generator(SHAKING_SEED)
    own = {name for name, tensor in model.state_dict().items() if tensor.is_floating_point()}
    shaken = {
        name: tensor * (0.5 + torch.rand(tensor.shape, generator=source)).to(tensor) if name in own else tensor
        for name, tensor in network.items()
    }
    x = as_inputs(examples, float_type(network))
    if x.dtype not in {torch.float32, torch.float64}:
        return {}
    seen = []
    for tensors in (network, shaken):
        with _Noted(tensors) as noted:
            try:
                run_with(model, tensors, x)
            except ModelError:  # a shaken network may be none that the model's code takes
                return {}
        seen.append(noted)
    one, other = seen
    return {
        name: bias
        for name, (inputs, bias, products, fan_in) in one.layers.items()
        if one.uses[name] == 1
        and products >= LEAST_SHARE * one.products
        and fan_in >= LEAST_FAN_IN
        and name in other.layers
        and torch.equal(inputs, other.layers[name][0])
    }


class _Noted(TorchFunctionMode):
    """Notes what layers read while a network runs, and how many products they take."""

    def __init__(self, tensors: Params) -> None:
        super().__init__()
        self._names = {id(tensor): name for name, tensor in tensors.items()}
        self.layers: dict[str, tuple[Tensor, str | None, int, int]] = {}
        self.uses: Counter[str] = Counter()
        self.products = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in LAYERS and len(args) > 1:
            name, fan_in = self._names.get(id(args[1])), args[1][0].numel()
            self.products += result.numel() * fan_in
            bias = args[2] if len(args) > 2 else None
            if name is not None and not kwargs and (bias is None or id(bias) in self._names):
                self.uses[name] += 1
                of_bias = None if bias is None else self._names[id(bias)]
                self.layers[name] = args[0].clone(), of_bias, result.numel() * fan_in, fan_in
        return result


class _Intercepted(TorchFunctionMode):
    """Puts shared pre-activations in the place of first layers while a network runs."""

    def __init__(
        self, shared: SharedLayers, network: Combination, first: Mapping[str, str | None], batch: Batch
    ) -> None:
        super().__init__()
        self._shared, self._network, self._batch = shared, network, batch
        self._names = {id(network[name]): name for name in first}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in LAYERS and len(args) > 1 and id(args[1]) in self._names:
            return self._shared.pre_activations(func, args, self._network, self._names[id(args[1])], self._batch)
        return func(*args, **(kwargs or {}))


def _numbers(parts: Sequence[tuple[Tensor, Any]]) -> bool:
    return all(isinstance(coefficient, float) for _, coefficient in parts)


def _same(x: Tensor, other: Tensor) -> bool:
    """Tell whether two tensors hold the same numbers, at once where they are the same memory."""
    alike = x.shape == other.shape and x.stride() == other.stride() and x.data_ptr() == other.data_ptr()
    return alike or torch.equal(x, other)
