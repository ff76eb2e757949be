"""Binary networks evaluated in whole numbers of eight bits: the logits that floats give, bit for bit, in less time.

What a binary layer multiplies lies within ±127 and its weights are ±1, so that int32 holds its sums, and as they stay
below 2^24, float32 does too (`landscape_cli.binary`). The outputs' scale is applied at the end, by the same product.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli.binary.layers import FixedPoint, Outputs, Sign, SignConv2d, SignLinear, SignWeights, Vote, binarize
from landscape_cli.forward.functional import float_type
from landscape_cli.network import Params

MULTIPLE = {"cuda": 8}
"""What the sizes of both factors of a product must be multiples of, by type of device, as `torch._int_mm` wants it."""
FEWEST = {"cuda": 32}
"""How many rows a product must have; CUDA wants more than 16."""
ROUNDS = 3
"""How often each side of a trial is timed."""

LETTERS: dict[type[nn.Module], str] = {
    nn.Flatten: "f",
    FixedPoint: "i",
    SignConv2d: "c",
    SignLinear: "l",
    nn.MaxPool2d: "m",
    Sign: "s",
    Vote: "v",
    Outputs: "o",
}
CHAIN = re.compile("(fi|i(c(ms|sm?))+f)(ls)*(l|lsv)o")
"""The orders of layers that are known here: images or places, then fully connected layers, or votes, then outputs."""


@dataclass(frozen=True)
class Packed:
    """A network's signs.

    Attributes:
        signs: by the latent weights' name, int8, shape (units, fan-in), padded with zeros.
        dtype: the type of the network, which it reads inputs in.
    """

    signs: Mapping[str, Tensor]
    dtype: torch.dtype


class IntegerModel:
    """A binary model that computes in whole numbers.

    Activations are int8, shape (n, places) or, of images, (n, height, width, channels); sums are int32 of such shapes.
    """

    def __init__(self, model: nn.Sequential, *, multiple: int = 1, fewest: int = 1) -> None:
        """Put the layers in order.

        Args:
            model: one that `is_known`.
            multiple: what the sizes of products are padded to a multiple of.
            fewest: how many rows a product has, at least.
        """
        layers = list(model.named_children())
        start = next(k for k, (_, layer) in enumerate(layers) if isinstance(layer, SignWeights))
        self._inputs = [layer for _, layer in layers[:start]]
        self._layers = layers[start:]
        for k, (_, layer) in enumerate(self._layers[:-1]):
            if isinstance(layer, nn.MaxPool2d) and isinstance(self._layers[k + 1][1], Sign):
                # The sign of the largest sum is the largest of the signs, which are a quarter of the bytes.
                self._layers[k : k + 2] = [self._layers[k + 1], self._layers[k]]
        first = self._layers[0][1]
        self._side = int(first.weight.shape[-1]) if isinstance(first, SignConv2d) else None
        self._multiple, self._fewest = multiple, fewest
        self._memory: Tensor | None = None

    def levels(self, x: Tensor) -> Tensor | None:
        """Return inputs (n, ...), in the type of networks, as int8: once for all networks; None if one is NaN."""
        for layer in self._inputs:
            x = layer(x)
        whole = x.to(torch.int8)
        if not torch.equal(whole.to(x.dtype), x):
            return None
        return whole if self._side is None else whole.permute(0, 2, 3, 1).contiguous()

    def prepare(self, levels: Tensor) -> Tensor:
        """Return what the first layer multiplies, for a batch of levels: once for all networks."""
        x = levels if self._side is None else _patches(levels, self._side)
        return _pad(_pad(x, x.ndim - 1, self._padded(x.shape[-1])), 0, max(self._fewest, self._padded(len(x))))

    def pack(self, params: Params) -> Packed:
        """Return a network's signs, in the order in which activations lie in memory: once for all data."""
        signs: dict[str, Tensor] = {}
        units = 0
        for name, layer in self._layers:
            if isinstance(layer, SignWeights):
                key = f"{name}.weight"
                weight = binarize(params.get(key, layer.weight)).to(torch.int8)
                if weight.ndim == 4:
                    weight = weight.permute(0, 2, 3, 1)
                elif units:  # the places of each unit lie side by side in a checkpoint, the units of a place here
                    weight = weight.view(len(weight), units, -1).transpose(1, 2)
                if units:
                    weight = _pad(weight, weight.ndim - 1, self._padded(units))
                weight = weight.flatten(1)
                units = len(weight)
                weight = _pad(weight, 1, self._padded(weight.shape[1]))
                signs[key] = _pad(weight, 0, self._padded(units)).contiguous()
        return Packed(signs, float_type(params))

    @torch.inference_mode()
    def logits(self, network: Packed, prepared: Tensor, samples: int) -> Tensor:
        """Return the logits of the first `samples` of a prepared batch, shape (samples, outputs)."""
        x, units = prepared, 0
        for k, (name, layer) in enumerate(self._layers):
            if isinstance(layer, SignWeights):
                if isinstance(layer, SignConv2d) and k > 0:
                    x = _patches(x, int(layer.weight.shape[-1]))
                sums = self._product(x.reshape(-1, x.shape[-1]), network.signs[f"{name}.weight"])
                x, units = sums.view(*x.shape[:-1], -1), len(layer.weight)
            elif isinstance(layer, Sign):
                x = x.bitwise_right_shift_(31).to(torch.int8).bitwise_or_(1)
            elif isinstance(layer, nn.MaxPool2d):
                x = _largest(_largest(x, layer, 0), layer, 1)
            elif isinstance(layer, nn.Flatten):
                x = x.flatten(1)
            elif isinstance(layer, Vote):
                x, units = x[:, :units].sum(dim=1, keepdim=True, dtype=torch.int32), 1
        outputs = x[:samples, :units].to(torch.promote_types(network.dtype, torch.float32))
        logits: Tensor = self._layers[-1][1](outputs)
        return logits

    def _product(self, x: Tensor, signs: Tensor) -> Tensor:
        """Return the sums, int32, shape (rows, units), in memory that the next product takes again."""
        size = len(x) * len(signs)
        if self._memory is None or self._memory.numel() < size:
            # New memory for each would cost page faults, up to the time of the product.
            self._memory = torch.empty(size, dtype=torch.int32, device=x.device)
        return torch._int_mm(x, signs.t(), out=self._memory[:size].view(len(x), len(signs)))

    def _padded(self, size: int) -> int:
        return -(-size // self._multiple) * self._multiple


def integer_model(model: nn.Module, device: torch.device) -> IntegerModel | None:
    """Return a model in whole numbers, for products on a device; None if it is none that is known here."""
    if not is_known(model):
        return None
    return IntegerModel(model, multiple=MULTIPLE.get(device.type, 1), fewest=FEWEST.get(device.type, 1))


def is_known(model: nn.Module) -> TypeGuard[nn.Sequential]:
    """Tell whether a model is a chain of the layers of `landscape_cli.binary`, and nothing else happens in it."""
    if type(model) is not nn.Sequential:
        return False
    layers = list(model)
    if any(layer._forward_hooks or layer._forward_pre_hooks for layer in (model, *layers)):
        return False
    # PyTorch 2.13's `_int_mm` is wrong on the CPU where sums are over one product.
    single = any(isinstance(layer, SignWeights) and layer.fan_in == 1 for layer in layers)
    chain = "".join(map(_letter, layers))
    return not single and len(set(layers)) == len(layers) and CHAIN.fullmatch(chain) is not None


def _letter(layer: nn.Module) -> str:
    letter = LETTERS.get(type(layer), "?")
    if isinstance(layer, nn.Flatten) and (layer.start_dim, layer.end_dim) != (1, -1):
        return "?"
    if isinstance(layer, nn.MaxPool2d) and (
        _pair(layer.padding) != (0, 0) or _pair(layer.dilation) != (1, 1) or layer.ceil_mode or layer.return_indices
    ):
        return "?"
    return letter


def is_faster(integers: Callable[[], Tensor], floats: Callable[[], Tensor], device: torch.device) -> bool:
    """Tell whether whole numbers give the bits that floats give, and in less time, by trying both in turn.

    Args:
        integers: one way to the logits of a batch.
        floats: the other.
        device: where they compute.
    """
    try:
        if not torch.equal(integers(), floats()):
            return False
        seconds = [(_seconds(integers, device), _seconds(floats, device)) for _ in range(ROUNDS)]
    except (RuntimeError, AttributeError):  # no such product here, or not of such sizes
        return False
    return min(first for first, _ in seconds) < min(second for _, second in seconds)


def _seconds(work: Callable[[], Tensor], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def _patches(x: Tensor, side: int) -> Tensor:
    """Return the squares in images (n, h, w, c), row by row and channels last: (n, h', w', side * side * c)."""
    n, h, w, c = x.shape
    rows = x.reshape(n, h, w * c).unfold(2, side * c, c).unfold(1, side, 1)  # (n, h', w', side * c, side)
    return rows.transpose(-1, -2).reshape(*rows.shape[:3], side * side * c)


def _largest(x: Tensor, pool: nn.MaxPool2d, axis: int) -> Tensor:
    """Return the largest of each window of images (n, h, w, c) along one axis, 0 for height."""
    windows = x.unfold(1 + axis, _pair(pool.kernel_size)[axis], _pair(pool.stride)[axis])
    largest, *following = windows.unbind(-1)
    for entries in following:
        largest = torch.maximum(largest, entries)
    return largest


def _pair(size: int | tuple[int, ...]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def _pad(x: Tensor, dim: int, size: int) -> Tensor:
    """Return a tensor with zeros behind it along one axis, where it is shorter than `size`."""
    missing = size - x.shape[dim]
    return F.pad(x, [0, 0] * (x.ndim - 1 - dim) + [0, missing]) if missing > 0 else x
