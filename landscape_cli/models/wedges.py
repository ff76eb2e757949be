"""A landscape without a network: the distance to the nearest of several wedges (docs/method.md: Surrogate).

Both logits come of one operator, `landscape::wedge_logits`, so that tracing meets one thing that it need not look into.
"""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn

from landscape_cli.arguments import check_kind, check_tensors
from landscape_cli.choices import DataName
from landscape_cli.errors import ModelError
from landscape_cli.models.fitting import check_params
from landscape_cli.network import Params
from landscape_cli.rng import generator

INPUT_SHAPE = (1,)
OUTPUTS = 2
MOST_BYTES = 1 << 30
INDEX_BYTES = 8
LARGEST_SEED = (1 << 63) - 1
LEAST_LENGTH, LARGEST_LENGTH = 1e-15, 1e15
"""Of radius and threshold: distances are roots of sums of squares, in float32."""

_library = torch.library.Library("landscape", "FRAGMENT")
_library.define("wedge_logits(Tensor position, Tensor x, Tensor short, float threshold) -> Tensor")


class Wedges(nn.Module):
    """The distance from `position` to the nearest wedge, as the cross-entropy of two samples.

    Attributes:
        position: where the network is, shape (dim,): all that is learned.
        short: the short directions of each wedge, in ascending order, shape (wedges, short), int64.
        radius: the deviation of a new position's coordinates.
        threshold: the distance beyond which the error is 1.
    """

    short: Tensor

    def __init__(self, dim: int, short: Tensor, radius: float, threshold: float) -> None:
        super().__init__()
        self.radius, self.threshold = radius, threshold
        self.position = nn.Parameter(torch.empty(dim))
        self.register_buffer("short", short, persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw a position anew."""
        nn.init.normal_(self.position, std=self.radius)

    def forward(self, x: Tensor) -> Tensor:
        """Return two logits for each of the inputs, shape (n, 1) to (n, 2): swapped for those that are not negative."""
        logits: Tensor = _WedgeLogits.apply(self.position, x, self.short, self.threshold)
        return logits


def wedges(
    input_shape: tuple[int, ...],
    outputs: int,
    *,
    dim: int = 1000,
    wedges: int = 10,
    short: int = 100,
    seed: int = 0,
    radius: float = 1.0,
    threshold: float = math.log(2),
) -> nn.Module:
    """Return the surrogate landscape of so many wedges with so many short directions each (docs/method.md: Surrogate).

    Raises:
        ModelError: if the sizes are impossible or need too much memory, or the data are others than its own.
    """
    if tuple(input_shape) != INPUT_SHAPE or outputs != OUTPUTS:
        raise ModelError(
            f"wedges: the model has data of its own, inputs of shape {INPUT_SHAPE} in {OUTPUTS} classes, not "
            f"{tuple(input_shape)} in {outputs}: name them with `data=` {DataName.WEDGES.value}"
        )
    _check_sizes(dim=dim, wedges=wedges, short=short, seed=seed)
    lengths: dict[str, object] = {"radius": radius, "threshold": threshold}
    for name, value in lengths.items():
        if isinstance(value, bool) or not isinstance(value, Real) or not LEAST_LENGTH <= float(value) <= LARGEST_LENGTH:
            raise ModelError(
                f"wedges: {name} must be a number from {LEAST_LENGTH:g} to {LARGEST_LENGTH:g}, as sums of "
                f"squares are float32 numbers, and is {value!r}"
            )
    return Wedges(dim, draw_short_directions(dim, wedges, short, seed), float(radius), float(threshold))


def draw_short_directions(dim: int, wedges: int, short: int, seed: int) -> Tensor:
    """Return random sets of axes, ascending, shape (wedges, short), int64: every set of a size is as likely."""
    source = generator(seed)
    return torch.stack([torch.randperm(dim, generator=source)[:short].sort().values for _ in range(wedges)])


def least_loss_on_plane(model: nn.Module, params: Params, basis: Tensor) -> float:
    """Return the least distance to a wedge on an affine subspace, exactly (docs/method.md: Surrogate).

    On the subspace `position + basis z` it is the least of as many least-squares problems as there are wedges, solved
    in float64 (`torch.linalg.lstsq`). What training in that subspace can reach is this divided by `threshold / ln 2`.

    Args:
        model: the surrogate, as `build_model` returns it.
        params: a network of it: the position that the subspace goes through.
        basis: vectors that span it, shape (dim, d), of any length and perhaps dependent; d may be 0.

    Returns:
        The distance.

    Raises:
        ModelError: if the model is another, or the network or the basis does not fit it.
    """
    remedy = "give the model 'wedges', as build_model returns it"
    check_kind("model", model, Wedges, remedy, ModelError)
    assert isinstance(model, Wedges)
    check_tensors(params)
    check_params(model, params)
    check_kind("basis", basis, Tensor, "give a tensor of shape (dim, d)", ModelError)
    position = params["position"].detach().double().cpu()
    if basis.ndim != 2 or len(basis) != len(position) or not basis.is_floating_point():
        raise ModelError(
            f"`basis=` has shape {tuple(basis.shape)} and holds {basis.dtype}, expected real numbers of shape "
            f"({len(position)}, d)"
        )
    columns = basis.detach().double().cpu()
    if not bool(columns.isfinite().all()):
        raise ModelError("`basis=` holds NaN or Inf")
    return min(_residual(position[axes], columns[axes]) for axes in model.short.cpu())


def _residual(target: Tensor, columns: Tensor) -> float:
    """Return the least norm of `target + columns z` over z."""
    if columns.shape[1]:
        # By singular values: where columns are dependent, other drivers were seen to return what is not the least.
        z = torch.linalg.lstsq(columns, -target[:, None], driver="gelsd").solution[:, 0]
        target = target + columns @ z
    return float(torch.linalg.vector_norm(target))


def _check_sizes(*, dim: object, wedges: object, short: object, seed: object) -> None:
    """Check how many dimensions, wedges and short directions there are to be.

    Raises:
        ModelError: naming what is impossible.
    """
    least = {"dim": 1, "wedges": 1, "short": 1, "seed": 0}
    sizes: dict[str, int] = {}
    for (name, value), lowest in zip(
        {"dim": dim, "wedges": wedges, "short": short, "seed": seed}.items(), least.values(), strict=True
    ):
        if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
            raise ModelError(f"wedges: {name} must be a whole number of at least {lowest}, and is {value!r}")
        sizes[name] = value
    if sizes["short"] >= sizes["dim"]:
        raise ModelError(
            f"wedges: short must be less than dim, {sizes['dim']}, and is {sizes['short']}: "
            "a wedge has long directions too"
        )
    if sizes["seed"] > LARGEST_SEED:
        raise ModelError(f"wedges: seed must be below 2^63, and is {sizes['seed']}")
    # A byte for each place that drawing goes through, or the indices that are kept.
    needed = sizes["wedges"] * max(sizes["dim"], INDEX_BYTES * sizes["short"])
    if needed > MOST_BYTES:
        raise ModelError(
            f"wedges: {sizes['wedges']} wedges of {sizes['dim']} dimensions need {needed / (1 << 30):.3g} GiB: "
            f"at most {MOST_BYTES >> 30} GiB"
        )


class _WedgeLogits(torch.autograd.Function):
    """The logits, and the gradient of the distance: a unit vector across the nearest wedge; zero on a wedge."""

    @staticmethod
    def forward(position: Tensor, x: Tensor, short: Tensor, threshold: float) -> Tensor:
        """Return the logits."""
        logits: Tensor = torch.ops.landscape.wedge_logits(position, x, short, threshold)
        return logits

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep what the gradient needs."""
        position, x, short, ctx.threshold = inputs
        ctx.save_for_backward(position, x, short)
        ctx.save_for_forward(position, x, short)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        """Return the gradient, made of operators that can be differentiated again."""
        position, x, short = ctx.saved_tensors
        axes, across, of_right, of_wrong = _slopes(position, short, ctx.threshold)
        swapped = x[:, 0] >= 0
        right = torch.where(swapped, gradient[:, 1], gradient[:, 0]).sum()
        wrong = torch.where(swapped, gradient[:, 0], gradient[:, 1]).sum()
        slope = right * of_right + wrong * of_wrong
        return torch.zeros_like(position).scatter(0, axes, slope * across), None, None, None

    @staticmethod
    def jvp(ctx: Any, position_change: Tensor, *_: Any) -> Tensor:
        """Return the change of the logits with the position's."""
        position, x, short = ctx.saved_tensors
        axes, across, of_right, of_wrong = _slopes(position, short, ctx.threshold)
        growth = (across * position_change[axes]).sum()
        right, wrong = growth * of_right, growth * of_wrong
        return torch.where(x[:, :1] >= 0, torch.stack([wrong, right]), torch.stack([right, wrong]))

    @staticmethod
    def vmap(
        info: Any, in_dims: Any, position: Tensor, x: Tensor, short: Tensor, threshold: float
    ) -> tuple[Tensor, int]:
        """Return the logits of each of several networks, stacked."""
        rows = [
            [tensor] * info.batch_size if dim is None else tensor.unbind(dim)
            for tensor, dim in zip((position, x, short), in_dims, strict=False)
        ]
        return torch.stack([_WedgeLogits.apply(*row, threshold) for row in zip(*rows, strict=True)]), 0


def _logits(position: Tensor, x: Tensor, short: Tensor, threshold: float) -> Tensor:
    distance = torch.linalg.vector_norm(position[short], dim=1).amin()
    ratio = distance * (math.log(2) / threshold)
    right = -ratio
    # On a wedge the logarithm of the least number rather than of zero: the loss is 0 all the same.
    wrong = torch.log((-torch.expm1(-ratio)).clamp_min(torch.finfo(ratio.dtype).tiny))
    # Rounding must not make a tie at the threshold, of which one sample would be right and one wrong.
    down, up = (torch.nextafter(right, torch.full_like(right, side)) for side in (-math.inf, math.inf))
    wrong = torch.where(distance > threshold, torch.maximum(wrong, up), torch.minimum(wrong, down))
    return torch.where(x[:, :1] >= 0, torch.stack([wrong, right]), torch.stack([right, wrong]))


def _fake(position: Tensor, x: Tensor, short: Tensor, threshold: float) -> Tensor:
    return position.new_empty(len(x), OUTPUTS)


def _slopes(position: Tensor, short: Tensor, threshold: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return what the logits' derivatives are made of.

    Returns:
        The short directions of the nearest wedge (of the first of equals), shape (short,); the unit vector across it,
        there; and by how much the logit of the right class, and that of the wrong one, grow with the distance. All but
        the first are zero on a wedge.
    """
    axes = short[torch.linalg.vector_norm(position.detach()[short], dim=1).argmin(keepdim=True)].squeeze(0)
    across = position[axes]
    distance = torch.linalg.vector_norm(across)
    outside = distance > torch.finfo(distance.dtype).tiny
    distance = torch.where(outside, distance, 1.0)
    inverse = math.log(2) / threshold
    ratio = distance * inverse
    of_wrong = torch.where(outside, inverse * torch.exp(-ratio) / -torch.expm1(-ratio), 0.0)
    return axes, across / distance * outside, torch.full_like(of_wrong, -inverse), of_wrong


_library.impl("wedge_logits", _logits, "CompositeExplicitAutograd")
torch.library.register_fake("landscape::wedge_logits", _fake, lib=_library)
