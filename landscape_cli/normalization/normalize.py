"""One representative per function: the canonical form that removes every free scale (docs/method.md: Normalize)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from landscape_cli.errors import GeometryError
from landscape_cli.evaluation.equivalence import Difference
from landscape_cli.forward.functional import float_type
from landscape_cli.network import Params, all_finite
from landscape_cli.normalization.balance import balance
from landscape_cli.normalization.order import alike, output_setters, turns
from landscape_cli.normalization.rescaled import RescaledParams, StoredParams
from landscape_cli.symmetry import Role, ScaledAxis, ScaleGroup, Symmetry, burn_in, unit_rows

DEAD = 1e-30
"""Units with weights of a smaller norm count as without: dividing by it would leave the range of float32."""
ROUNDINGS = 1000.0
"""How many roundings of its type a factor of a normalised network's units may lie from 1."""


@dataclass(frozen=True, eq=False)
class Normalization:
    """A normalised network, and what it took.

    Attributes:
        params: the normalised network, in the dtype of the original.
        output_factor: the positive factor by which its outputs differ from the original's.
        degenerate: for each group that has them, the units without incoming weights, or with a gain of zero.
        factors: what the activations of each scale group's units were multiplied by, shape (units,), float64.
        unsettled: the names of groups whose scale is left, at least in part, as it was: they share their tensors so
            that no one form is found.
        proof: how far its outputs are from `output_factor` times the original's on a probe batch; None if that was
            not compared.
        normalized: how it was normalised, as a checkpoint keeps it (`Checkpoint.normalized`), JSON values.
    """

    params: dict[str, Tensor] = field(repr=False)
    output_factor: float
    degenerate: Mapping[str, tuple[int, ...]]
    factors: Mapping[str, Tensor] = field(repr=False)
    unsettled: tuple[str, ...] = ()
    proof: Difference | None = None
    normalized: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return all but the tensors of the network as JSON values."""
        return {
            "output_factor": self.output_factor,
            "degenerate": {group: list(units) for group, units in self.degenerate.items()},
            "factors": {group: factors.tolist() for group, factors in self.factors.items()},
            "unsettled": list(self.unsettled),
            "proof": None if self.proof is None else self.proof.to_dict(),
        }


def normalize_params(params: Params, symmetry: Symmetry, *, keep_last_layer: bool = False) -> Normalization:
    """Normalise a network (Pittorino et al., 2022, algorithm 1; docs/method.md: Normalize), computing in float64.

    In forward order, the units of each group are rescaled so that whatever sets their scale has norm one: the
    incoming weights, a norm layer's gain. Biases and readers follow. Where a batch-norm absorbs the scale, its
    statistics follow, and its gain makes up for ε before its own turn comes. Without a gain the running variance
    plus ε is what scales, so that the variance may come out negative, though never below -ε.

    Where a group would change what has set another, it goes first, or another of its tensors sets it (`turns`);
    groups for which there is no such order are set together (`balance`).

    Latent weights of binary layers become their signs: of those networks that are the same, one. Of weights that masks
    multiply the effective ones count; what a mask hides is rescaled with them, and masks stay as they are.

    The last layer, weights and biases, is multiplied by √outputs / norm. A unit without incoming weights keeps its
    zeros; its bias, if any, takes the place of the weights, and without one whatever else scales with it.

    Nothing is proved here: `normalization.verified.normalize` does.

    Args:
        params: the network, any floating-point dtype.
        symmetry: its symmetry.
        keep_last_layer: leave the last layer as it is: then the outputs, and so the loss, are unchanged.

    Raises:
        GeometryError: if the last layer is zero, a tensor is not finite, or would not be in its dtype, or a running
            variance is negative.
    """
    normalization, exact = normalized_exactly(params, symmetry, keep_last_layer=keep_last_layer)
    stored = dict(StoredParams(exact, params))
    check_range(exact, stored)
    return replace(normalization, params=stored)


def normalized_exactly(
    params: Params, symmetry: Symmetry, *, keep_last_layer: bool = False, device: torch.device | None = None
) -> tuple[Normalization, RescaledParams]:
    """Return what normalising a network takes, without tensors, and the normalised one in float64, on `device`.

    Raises:
        GeometryError: as `normalize_params`.
    """
    _check_normalizable(params, symmetry)
    work = RescaledParams(params, symmetry, device)
    degenerate: dict[str, tuple[int, ...]] = {}
    factors: dict[str, Tensor] = {}
    output_factor = 1.0
    unsettled: list[str] = []
    # A stream that is both read inside and an output is set by its first writer, in its turn, as other streams are.
    read_inside = any(scaled.power != 1 for scaled in symmetry.output)
    index = symmetry.output_after if read_inside else len(symmetry.scales)
    for turn in turns(symmetry, outputs_at=None if keep_last_layer else index):
        if not turn.groups:
            output_factor = _last_layer_factor(burn_in(work, symmetry), symmetry, first=read_inside)
            work.rescale({}, output=output_factor)
            continue
        names = [group.name for group in turn.groups]
        if turn.together:
            balanced, settled = balance(burn_in(work, symmetry), turn.groups, turn.setters)
            factors |= balanced
            unsettled += [] if settled else names
        else:
            [group] = turn.groups
            factors[group.name], zero = _unit_factors(burn_in(work, symmetry), group, turn.setters, work.device)
            if bool(zero.any()):
                degenerate[group.name] = tuple(zero.nonzero().flatten().tolist())
        work.rescale({name: factors[name] for name in names})
    work.signs = symmetry.latents
    return Normalization({}, output_factor, degenerate, factors, tuple(unsettled)), work


def is_normalized(params: Params, symmetry: Symmetry, *, last_layer: bool = False) -> bool:
    """Tell whether hidden units have the scales that normalising gives them, to the rounding of the network's type.

    Groups of which normalising finds no one form may have any scale, and so may the last layer unless it is asked
    after with `last_layer`; latent weights of binary layers may have any size.

    Raises:
        GeometryError: if the network cannot be normalised.
    """
    normalization, _ = normalized_exactly(params, symmetry, keep_last_layer=not last_layer)
    allowed = ROUNDINGS * torch.finfo(float_type(params)).eps
    settled = (factor for name, factor in normalization.factors.items() if name not in normalization.unsettled)
    if abs(normalization.output_factor - 1) > allowed:
        return False
    return all(bool(((factor - 1).abs() <= allowed).all()) for factor in settled)


def check_range(exact: Params, stored: Params) -> None:
    """Check that a normalised network (float64) can be stored in the dtypes of another.

    Raises:
        GeometryError: naming a tensor that leaves their range.
    """
    for name, tensor in stored.items():
        # What is not finite in float64 either is no matter of the dtype, and the proof will tell.
        if not all_finite(tensor) and all_finite(exact[name]):
            dtype = str(tensor.dtype).removeprefix("torch.")
            raise GeometryError(
                f"the tensor {name!r}, normalised, leaves the range of {dtype}: convert the network first"
            )


def one_at_a_time(
    params: Params, symmetry: Symmetry, factors: Mapping[str, Tensor], device: torch.device | None = None
) -> Iterator[tuple[str, Params]]:
    """Yield for each scale group the network, in float64, with that group alone rescaled, to find one at fault."""
    for name, factor in factors.items():
        alone = RescaledParams(params, symmetry, device)
        alone.rescale({name: factor})
        yield name, alone


def _check_normalizable(params: Params, symmetry: Symmetry) -> None:
    """Check that a network's numbers are finite, and its running variances not negative even with ε added.

    Raises:
        GeometryError: naming a tensor.
    """
    for name, tensor in params.items():
        if not all_finite(tensor):
            raise GeometryError(f"the tensor {name!r} holds NaN or Inf: this network cannot be normalised")
    for scaled in (scaled for group in symmetry.scales for scaled in group.axes if scaled.epsilon):
        name = scaled.variance or scaled.axis.tensor
        if bool((params[name].double() + scaled.epsilon < 0).any()):
            raise GeometryError(
                f"the running variance {name!r} holds negative numbers, so that outputs are NaN: this network cannot "
                "be normalised"
            )


def _unit_factors(
    params: Params, group: ScaleGroup, setters: Sequence[ScaledAxis], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return the factors that put a group's units at norm one, and which units are degenerate, shapes (units,)."""
    factors, degenerate = _to_norm_one(params, setters, setters[0].power, group.size, device)
    missing = degenerate
    for power in (1, 2):  # biases and means; variances
        if bool(missing.any()):
            followers = [axis for axis in group.axes if axis.axis.role is Role.FOLLOWER and axis.power == power]
            instead, nothing = _to_norm_one(params, followers, power, group.size, device)
            factors, missing = torch.where(missing, instead, factors), missing & nothing
    return factors, degenerate


def _to_norm_one(
    params: Params, axes: Sequence[ScaledAxis], power: float, units: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return the factors that put what axes of one power hold of each unit at norm one, and where there is nothing."""
    squared = torch.zeros(units, dtype=torch.float64, device=device)
    for scaled in axes:
        tensor = params[scaled.axis.tensor]
        rows = unit_rows(tensor + scaled.epsilon if scaled.epsilon else tensor, scaled.axis)
        squared = squared + rows.norm(dim=1).square()
    norms = squared.sqrt()
    nothing = norms < DEAD
    if power == 0:
        return torch.ones_like(norms), torch.zeros_like(nothing)
    return torch.where(nothing, torch.ones_like(norms), norms) ** (-1 / power), nothing


def _last_layer_factor(params: Params, symmetry: Symmetry, *, first: bool) -> float:
    """Return what puts the last (or first) layer that writes the outputs, its weights or gains, on its sphere.

    Raises:
        GeometryError: if all of them are zero.
    """
    weights = output_setters(symmetry)
    for scaled in weights if first else reversed(weights):
        together = alike(scaled, weights, symmetry)
        norm = math.hypot(*(float(unit_rows(params[each.axis.tensor], each.axis).norm()) for each in together))
        if norm >= DEAD:
            size = sum(each.axis.places.table.size for each in together)
            return float((math.sqrt(size) / norm) ** (1 / scaled.power))
    if weights:
        name = weights[-1].axis.tensor
        raise GeometryError(f"the last layer {name!r} is zero, so it has no direction: use `keep_last_layer=`")
    return 1.0
