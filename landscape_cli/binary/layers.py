"""Binary networks: weights and activations of +1 and -1, with real latent weights behind them.

See docs/method.md: Binary networks.

A checkpoint holds the latent weights; the network is their signs. Every sum in such a network is a whole number, so
that its outputs are exact whichever way they are computed.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli.errors import ModelError
from landscape_cli.forward.functional import parameter_owners
from landscape_cli.network import Params

LEVEL = 31
"""The whole number that an input of one standard deviation becomes."""
LARGEST = 127
"""The largest such number: that of eight bits with a sign."""
LARGEST_SUM = 1 << 24
"""Up to which whole numbers, and so sums in any order, are exact in float32."""

_library = torch.library.Library("landscape", "DEF")
_library.define("binarize(Tensor x, bool ties=False) -> Tensor")
_library.define("fixed_point(Tensor x, bool even_first) -> Tensor")


def binarize(x: Tensor, *, ties: bool = False) -> Tensor:
    """Return the signs of numbers, ±1 in their type: +1 for zero, everywhere and always.

    The gradient passes where |x| <= 1 and is zero elsewhere (the straight-through estimator of Hubara et al., 2016,
    section 1.3). It is an operator of its own, so that tracing sees an odd function in it. NaN has some sign or other:
    checkpoints and data with NaN are refused where they are read.

    Args:
        x: any real numbers.
        ties: whether they may be zero, where a sign and its opposite's are the same: then it is no odd function.
    """
    signs: Tensor = torch.ops.landscape.binarize(x, ties)
    return signs


def _signs(x: Tensor, ties: bool = False) -> Tensor:
    signs = x + 0.0  # which has no -0
    return torch.copysign(torch.ones((), dtype=x.dtype, device=x.device), signs, out=signs)


def _levels(x: Tensor, even_first: bool) -> Tensor:
    x = x.to(_at_least_float32(x.dtype)) * (LEVEL / 2)
    if not even_first:
        return x.floor_().mul_(2).add_(1).clamp_(-LARGEST, LARGEST)
    first = x[:, 0].round().mul_(2).clamp_(1 - LARGEST, LARGEST - 1)
    levels = x.floor_().mul_(2).add_(1).clamp_(-LARGEST, LARGEST)
    levels[:, 0] = first
    return levels


def _at_least_float32(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)


def _fake(x: Tensor, ties: bool = False) -> Tensor:
    return torch.empty_like(x)


def _fake_levels(x: Tensor, even_first: bool) -> Tensor:
    return torch.empty_like(x, dtype=_at_least_float32(x.dtype))


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(inputs[0])


def _straight_through(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
    (x,) = ctx.saved_tensors
    return gradient * (x.abs() <= 1), None


def _each(info: Any, in_dims: Any, x: Tensor, ties: bool = False) -> tuple[Tensor, Any]:
    return binarize(x, ties=ties), in_dims[0]


def _each_levels(info: Any, in_dims: Any, x: Tensor, even_first: bool) -> tuple[Tensor, int]:
    every = x.movedim(in_dims[0], 0)
    return torch.ops.landscape.fixed_point(every.flatten(0, 1), even_first).view(every.shape), 0


_library.impl("binarize", _signs, "CompositeExplicitAutograd")
torch.library.register_fake("landscape::binarize", _fake, lib=_library)
torch.library.register_autograd("landscape::binarize", _straight_through, setup_context=_keep, lib=_library)
torch.library.register_vmap("landscape::binarize", _each, lib=_library)
_library.impl("fixed_point", _levels, "CompositeExplicitAutograd")
torch.library.register_fake("landscape::fixed_point", _fake_levels, lib=_library)
torch.library.register_vmap("landscape::fixed_point", _each_levels, lib=_library)


class FixedPoint(nn.Module):
    """Inputs as whole numbers of eight bits, as BinaryNet's first layer takes them (Hubara et al., 2016, section 1.5).

    A standardised x becomes the odd number nearest to 31 x within ±127, so that ±1 are ±31. With `even_first` the
    first place of each input becomes an even one: of an even number of places, that makes every sum of them odd,
    whatever their signs, and so never zero.
    """

    def __init__(self, *, even_first: bool) -> None:
        super().__init__()
        self.even_first = even_first

    def forward(self, x: Tensor) -> Tensor:
        """Return whole numbers, in float32 or better, in the shape of the inputs, (n, ...)."""
        levels: Tensor = torch.ops.landscape.fixed_point(x, self.even_first)
        return levels


class SignWeights(nn.Module):
    """A layer whose weights are the signs of its latent weights, `weight`.

    Attributes:
        weight: the latent weights, in [-1, 1].
        fan_in: of how many products a sum is made.
    """

    def __init__(self, *shape: int, largest: int = 1) -> None:
        """Draw latent weights, uniformly.

        Args:
            shape: of the weights; all but the first axis are summed over.
            largest: the largest absolute value of what they multiply.

        Raises:
            ModelError: if a size is not positive, or sums may be too large to be exact.
        """
        super().__init__()
        if min(shape) < 1:
            raise ModelError(f"a layer of shape {shape} has no weights: widths must be positive")
        self.fan_in = prod(shape[1:])
        if self.fan_in * largest >= LARGEST_SUM:
            raise ModelError(
                f"sums over {self.fan_in} inputs are not exact in float32: binary layers take at most "
                f"{(LARGEST_SUM - 1) // largest}"
            )
        self.weight = nn.Parameter(torch.empty(shape))
        nn.init.uniform_(self.weight, -1, 1)

    def signs(self, dtype: torch.dtype) -> Tensor:
        """Return the weights, ±1."""
        latent: Tensor = self.weight
        return binarize(latent).to(dtype)


class SignLinear(SignWeights):
    """A fully connected layer of binary weights: whole numbers (n, in) to sums (n, out)."""

    def __init__(self, fan_in: int, units: int, *, largest: int = 1) -> None:
        super().__init__(units, fan_in, largest=largest)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sums."""
        return F.linear(x, self.signs(x.dtype))


class SignConv2d(SignWeights):
    """A convolution of binary filters without padding: whole numbers (n, c, h, w) to sums (n, filters, h', w')."""

    def __init__(self, channels: int, filters: int, kernel: int, *, largest: int = 1) -> None:
        super().__init__(filters, channels, kernel, kernel, largest=largest)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sums."""
        sums = F.conv2d(x, self.signs(x.dtype))
        # There, algorithms that transform filters (Winograd's) leave rounding errors; the gradient passes as it is.
        return sums + (sums.round() - sums).detach() if sums.is_cuda else sums


class Sign(nn.Module):
    """Binary activations of sums over `fan_in` products: the signs, with gradients where |sum| <= √fan_in."""

    def __init__(self, fan_in: int, *, ties: bool, level: int = 1) -> None:
        """Keep what scales a sum.

        Args:
            fan_in: of how many products a sum is made.
            ties: whether a sum can be zero.
            level: what counts as 1 among the numbers multiplied.
        """
        super().__init__()
        self.scale = fan_in**-0.5 / level
        self.ties = ties

    def forward(self, x: Tensor) -> Tensor:
        """Return ±1."""
        return binarize(x * self.scale, ties=self.ties)


class Outputs(nn.Module):
    """Logits: sums over `fan_in` products, divided by the root of that."""

    def __init__(self, fan_in: int, *, level: int = 1) -> None:
        super().__init__()
        self.scale = fan_in**-0.5 / level

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = x * self.scale
        return logits


class Vote(nn.Module):
    """The sum of all hidden units: one output whose weights are fixed to +1."""

    def forward(self, x: Tensor) -> Tensor:
        """Return sums, shape (n, 1)."""
        return x.sum(dim=1, keepdim=True)


def latent_names(model: nn.Module) -> tuple[str, ...]:
    """Return the names of the tensors of latent weights, in forward order; none for a continuous network."""
    return tuple(
        f"{name}.weight" if name else "weight"
        for name, module in model.named_modules(remove_duplicate=False)
        if isinstance(module, SignWeights)
    )


def latent_owners(model: nn.Module) -> dict[str, str]:
    """Return for every name of a tensor of latent weights the first one it has: layers may share a tensor."""
    owners = parameter_owners(model)
    return {name: owners[name] for name in latent_names(model)}


def to_signs(params: Params, names: Iterable[str]) -> Params:
    """Return a network with its latent weights replaced by their signs: the canonical one of those that equal it.

    One without latent weights is returned as it is.
    """
    signs = {name: binarize(params[name]) for name in names}
    return {**params, **signs} if signs else params


def without_zeros(params: Params, names: Iterable[str]) -> Params:
    """Return a network whose latent weights of zero are tiny and positive, so that their negative differs.

    It is the same network; one without latent weights is returned as it is.
    """
    tensors = {name: params[name] for name in names}
    if not tensors:
        return params
    return dict(params) | {
        name: torch.where(tensor == 0, torch.finfo(tensor.dtype).tiny, tensor) for name, tensor in tensors.items()
    }
