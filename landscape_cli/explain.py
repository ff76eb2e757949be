"""A symmetry in words and numbers: what can be relabelled, rescaled and flipped, and what is fixed and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from landscape_cli.symmetry import Axis, FixedAxis, ScaledAxis, Symmetry


def explain(symmetry: Symmetry) -> dict[str, Any]:
    """Return a symmetry as JSON values: its groups with the tensors and axes they tie, what is fixed, and the notes."""
    return {
        "groups": [
            {
                "name": group.name,
                "units": group.units,
                "blocks": group.blocks,
                "inside": list(group.inside),
                "axes": [_axis(axis) | {"role": axis.role.value} for axis in group.axes],
                "scales": [scale.name for scale in symmetry.scales if _share([a.axis for a in scale.axes], group.axes)],
                "signs": [sign.name for sign in symmetry.signs if _share(sign.axes, group.axes)],
            }
            for group in symmetry.permutations
        ],
        "scales": [
            {"name": group.name, "units": group.size, "axes": _scaled_axes(group.axes)} for group in symmetry.scales
        ],
        "signs": [
            {"name": group.name, "units": group.size, "axes": [_axis(axis) for axis in group.axes]}
            for group in symmetry.signs
        ],
        "output": _scaled_axes(symmetry.output),
        "fixed": [
            {"tensor": axis.tensor, "axis": axis.dim, "places": axis.places, "reason": axis.reason}
            for axis in symmetry.fixed
        ],
        "notes": list(symmetry.notes),
    }


def explanation_rows(symmetry: Symmetry) -> list[dict[str, Any]]:
    """Return a symmetry as a long table: one row a group, and one for each reason why axes are fixed."""
    rows = []
    for group in symmetry.permutations:
        rows.append(_row("permutation", group.name, group.units, group.blocks, map(_name, group.axes)))
    for scale in symmetry.scales:
        rows.append(_row("scale", scale.name, scale.size, 1, map(_scaled_name, scale.axes)))
    for sign in symmetry.signs:
        rows.append(_row("sign", sign.name, sign.size, 1, map(_name, sign.axes)))
    if symmetry.output:
        rows.append(_row("scale", "(all outputs)", 1, 1, map(_scaled_name, symmetry.output)))
    for reason in dict.fromkeys(axis.reason for axis in symmetry.fixed):
        here = [axis for axis in symmetry.fixed if axis.reason == reason]
        rows.append(_row("fixed", reason, sum(axis.places for axis in here), 1, map(_fixed_name, here)))
    return rows


def _row(kind: str, name: str, units: int, blocks: int, axes: Iterable[str]) -> dict[str, Any]:
    return {"kind": kind, "name": name, "units": units, "blocks": blocks, "axes": ", ".join(dict.fromkeys(axes))}


def _axis(axis: Axis) -> dict[str, Any]:
    return {"tensor": axis.tensor, "axes": list(axis.dims), "places_per_unit": axis.places.table.shape[1]}


def _scaled_axes(axes: Sequence[ScaledAxis]) -> list[dict[str, Any]]:
    return [
        _axis(scaled.axis)
        | {"power": scaled.power}
        | ({"epsilon": scaled.epsilon} if scaled.epsilon else {})
        | ({"makes_up_for": scaled.variance} if scaled.variance else {})
        for scaled in axes
    ]


def _name(axis: Axis) -> str:
    return f"{axis.tensor}[{','.join(map(str, axis.dims))}]"


def _scaled_name(scaled: ScaledAxis) -> str:
    if scaled.variance is not None:
        return f"{_name(scaled.axis)} (epsilon)"
    return _name(scaled.axis) if scaled.power == 1 else f"{_name(scaled.axis)}^{scaled.power}"


def _fixed_name(axis: FixedAxis) -> str:
    return f"{axis.tensor}[{axis.dim}]"


def _share(one: Sequence[Axis], other: Sequence[Axis]) -> bool:
    """Tell whether two lists of axes have a place in common."""
    for axis in one:
        for known in other:
            if axis.tensor == known.tensor and axis.dims == known.dims:
                mine = set(axis.places.table.flatten().tolist())
                if not mine.isdisjoint(known.places.table.flatten().tolist()):
                    return True
    return False
