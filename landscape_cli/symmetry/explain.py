"""A symmetry in words and numbers: what can be permuted, rescaled and flipped, and what is fixed and why."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from landscape_cli.errors import listed
from landscape_cli.symmetry import Axis, FixedAxis, ModuleGroup, PermutationGroup, Role, ScaledAxis, Symmetry
from landscape_cli.symmetry.apart import axes_apart
from landscape_cli.symmetry.reasons import OPERATOR, WITHIN, counted, is_understood
from landscape_cli.symmetry.tracing.rules import operator_of
from landscape_cli.symmetry.tracing.tensors import NO_RULE

POWERS: Mapping[float, str] = {1: "x", 2: "x²", -1: "/", -2: "/²"}
ROLES = {
    "written by": (Role.INCOMING,),
    "read by": (Role.OUTGOING,),
    "followed by": (Role.GAIN, Role.FOLLOWER),
    "masked by": (Role.MASK,),
}

Shapes = Iterable[tuple[str, Sequence[int]]]
"""Of tensors, by name, as symmetries have them."""
GroupsByAxes = Mapping[tuple[str, tuple[int, ...]], Sequence[tuple[str, set[int]]]]
"""By tensor and axes: the names of the groups that live there, and at which places."""


def explain(symmetry: Symmetry) -> dict[str, Any]:
    """Return a symmetry as JSON values: its groups with the tensors and axes they tie, what is fixed, and the notes."""
    scales = {scale.name: [scaled.axis for scaled in scale.axes] for scale in symmetry.scales}
    signs = {sign.name: sign.axes for sign in symmetry.signs}
    with_scales, with_signs = _by_axes(scales), _by_axes(signs)
    joined = {each.name: each for each in symmetry.joined}

    def scales_of(group: PermutationGroup) -> list[str]:
        return _sharing(axes_apart(group.axes, range(group.units), joined), with_scales, scales)

    return {
        "summary": count(symmetry),
        "groups": [
            {
                "name": group.name,
                "units": group.units,
                "blocks": group.blocks,
                "inside": list(group.inside),
                "axes": [_axis(axis, symmetry) | {"role": axis.role.value} for axis in group.axes],
                "scales": scales_of(group),
                "signs": _sharing(group.axes, with_signs, signs),
            }
            for group in symmetry.permutations
        ],
        **({"modules": [_parts(group) for group in symmetry.modules]} if symmetry.modules else {}),
        "scales": [
            {"name": group.name, "units": group.size, "axes": _scaled_axes(group.axes)} for group in symmetry.scales
        ],
        "signs": [
            {"name": group.name, "units": group.size, "axes": [_axis(axis, symmetry) for axis in group.axes]}
            for group in symmetry.signs
        ],
        "output": _scaled_axes(symmetry.output),
        "weights": list(symmetry.weights),
        "fixed": [
            {"tensor": axis.tensor, "axis": axis.dim, "places": axis.places, "reason": in_words(axis.reason)}
            | {"understood": is_understood(axis)}
            for axis in symmetry.fixed
        ],
        "notes": list(symmetry.notes),
    } | (
        {
            "latents": list(symmetry.latents),
            "fixed_signs": [{"group": group, "reason": reason} for group, reason in signs_fixed_for(symmetry)],
        }
        if symmetry.latents
        else {}
    )


def count(symmetry: Symmetry) -> dict[str, int]:
    """Return how many groups and units there are of each kind, and how many axes are free, or fixed and why."""
    return {
        "permutation_groups": len(symmetry.permutations),
        "permutable_units": sum(group.units for group in symmetry.permutations),
        **(
            {"module_groups": len(symmetry.modules), "permutable_modules": sum(g.size for g in symmetry.modules)}
            if symmetry.modules
            else {}
        ),
        "scale_groups": len(symmetry.scales),
        "scalable_units": sum(group.size for group in symmetry.scales),
        "sign_groups": len(symmetry.signs),
        "flippable_units": sum(group.size for group in symmetry.signs),
        "fixed_axes": len({(axis.tensor, axis.dim) for axis in symmetry.fixed}),
        **{f"{kind}_axes": number for kind, number in counted(symmetry).items()},
    }


def summary(symmetry: Symmetry) -> str:
    """Return the same in one line."""
    counts = count(symmetry)
    parts = [
        f"{_number(counts[f'{kind}_groups'], 'group')} ({_number(counts[f'{units}_units'], 'unit')}) {verb}"
        for kind, units, verb in (
            ("permutation", "permutable", "to permute"),
            ("scale", "scalable", "to rescale"),
            ("sign", "flippable", "to flip"),
        )
        if counts[f"{kind}_groups"]
    ]
    if symmetry.modules:
        parts.insert(0, f"{_number(counts['permutable_modules'], 'part')} of the model to trade places")
    said = f"{_number(counts['free_axes'], 'axis', 'axes')} free, {counts['by_nature_axes']} fixed by nature"
    unknown = f", {counts['not_understood_axes']} fixed because not understood" if counts["not_understood_axes"] else ""
    return f"{', '.join(parts) or 'no symmetries'}; {said}{unknown}"


def explanation_rows(symmetry: Symmetry) -> list[dict[str, Any]]:
    """Return a symmetry as a long table: one row a group, and one for each reason why axes are fixed.

    The columns: `kind` (modules, permutation, scale, sign, output, fixed sign, fixed, not understood), `name` (of the
    group; the reason), `units` (places, of what is fixed), `blocks`, and `axes`: what is tied, as `tensor[axis]`, under
    what becomes of it.
    """
    rows, shapes = [], symmetry.of_joined.shapes
    for parts in symmetry.modules:
        rows.append(_row("modules", parts.name, parts.size, 1, exchanged(parts, symmetry.shapes)))
    for group in symmetry.permutations:
        rows.append(_row("permutation", group.name, group.units, group.blocks, tied(group.axes, shapes)))
    for scale in symmetry.scales:
        rows.append(_row("scale", scale.name, scale.size, 1, scaled(scale.axes, symmetry.shapes)))
    for sign in symmetry.signs:
        rows.append(_row("sign", sign.name, sign.size, 1, {"": compact(sign.axes, shapes)}))
    if symmetry.output:
        rows.append(
            _row("output", "all outputs, by one factor", 1, 1, scaled(symmetry.output, symmetry.shapes, counted=False))
        )
    for group_name, why in signs_fixed_for(symmetry):
        units = next(group.units for group in symmetry.permutations if group.name == group_name)
        rows.append(_row("fixed sign", group_name, units, 1, {"": [why]}))
    for reason, axes in fixed_for(symmetry).items():
        kind = "fixed" if is_understood(axes[0]) else "not understood"
        rows.append(_row(kind, reason, sum(axis.places for axis in axes), 1, {"": compact_fixed(axes)}))
    return rows


def tied(axes: Sequence[Axis], shapes: Shapes) -> dict[str, list[str]]:
    """Return the axes of a permutation group in words, under what they are to the units."""
    by_role = {words: compact((axis for axis in axes if axis.role in roles), shapes) for words, roles in ROLES.items()}
    return {words: names for words, names in by_role.items() if names}


def exchanged(group: ModuleGroup, shapes: Shapes) -> dict[str, list[str]]:
    """Return the tensors of parts that trade places, in words, and where the parts live beside."""
    parts = {f"part {k + 1}:": list(member) for k, member in enumerate(group.members)}
    return parts | ({"with": compact(group.axes, shapes)} if group.axes else {})


def scaled(axes: Sequence[ScaledAxis], shapes: Shapes, *, counted: bool = True) -> dict[str, list[str]]:
    """Return the axes of a scale group in words, under the power of the units' factor they are multiplied by."""
    powers = {POWERS.get(axis.power, f"x^{axis.power:.6g}"): axis.power for axis in axes if axis.variance is None}
    by_power = {
        words: compact(
            (axis.axis for axis in axes if axis.variance is None and axis.power == power), shapes, counted=counted
        )
        for words, power in sorted(powers.items(), key=lambda item: -item[1])
        if power
    }
    gains = compact((axis.axis for axis in axes if axis.variance is not None), shapes)
    return by_power | ({"making up for ε:": gains} if gains else {})


def fixed_for(symmetry: Symmetry) -> dict[str, list[FixedAxis]]:
    """Return the axes that are fixed, by reason; an operator is one reason wherever it runs."""
    by_reason: dict[str, list[FixedAxis]] = {}
    for axis in symmetry.fixed:
        by_reason.setdefault(in_words(axis.reason).partition(WITHIN)[0], []).append(axis)
    return by_reason


def signs_fixed_for(symmetry: Symmetry) -> list[tuple[str, str]]:
    """Return the groups of a binary network whose units may not be flipped, and why in words."""
    reasons = []
    for fixed in symmetry.fixed_signs:
        operator = OPERATOR.search(fixed.reason.partition(WITHIN)[0])
        words = operator_of(operator[2].rstrip("_")).sign_matters if operator else ""
        reasons.append((fixed.group, words or fixed.reason or "an operator for which their sign matters"))
    return reasons


def in_words(reason: str) -> str:
    """Return why an axis is fixed, operators in words: `aten.bmm.default` is how the tracer calls one.

    Operators of other libraries than PyTorch's own stay as they are, unless their registration has words for them.
    """
    what, within, module = reason.partition(WITHIN)
    operator = OPERATOR.search(what)
    if operator is None:
        return reason
    library, name = operator[1], operator[2].rstrip("_")
    words = operator_of(name).words
    if not words and library != "aten":
        return reason
    before = what[: operator.start()]
    said = f"{words} ({library}.{name})" if words else f"{library}.{name}"
    if before.startswith(NO_RULE):
        said = f"units that reach {said}, which has no rule"
    elif before:
        said = f"places after {said}"
    else:
        said = f"units tied by {said} in a way that is not followed"
    return f"{said}{within}{module}"


def compact(axes: Iterable[Axis], shapes: Shapes, *, counted: bool = True) -> list[str]:
    """Return axes as `tensor[axis]`; several tensors of one module, alike, as `module.{weight,bias}[axis]`.

    With what part of the axis it is, if not all of it, and how many places a unit has there, if several and `counted`.
    """
    alike: dict[tuple[str, str], list[str]] = {}
    for axis in axes:
        module, _, name = axis.tensor.rpartition(".")
        alike.setdefault((module, _where(axis, dict(shapes)[axis.tensor], counted=counted)), []).append(name)
    return [_braced(module, list(dict.fromkeys(names)), where) for (module, where), names in alike.items()]


def _where(axis: Axis, shape: Sequence[int], *, counted: bool) -> str:
    units, places = axis.places.table.shape
    entries = sorted(set(axis.places.table.ravel().tolist()))
    part = len(entries) < math.prod(shape[dim] for dim in axis.dims)
    if counted and units == 1 < places and not part:
        return " all"
    where = f"[{','.join(map(str, axis.dims))}]"
    if part and len(axis.dims) == 1:
        runs = [k for k, entry in enumerate(entries) if not k or entry > entries[k - 1] + 1]
        ends = [*(k - 1 for k in runs[1:]), len(entries) - 1]
        where += f" {listed(_run(entries[a], entries[b]) for a, b in zip(runs, ends, strict=True))}"
    return f"{where}{f' ({places} places a unit)' if counted and places > 1 else ''}"


def _run(first: int, last: int) -> str:
    return f"{first}" if first == last else f"{first}-{last}"


def compact_fixed(axes: Iterable[FixedAxis]) -> list[str]:
    """Return fixed axes in the same way, all those of one tensor together."""
    dims: dict[str, list[int]] = {}
    for axis in axes:
        of_tensor = dims.setdefault(axis.tensor, [])
        if axis.dim not in of_tensor:
            of_tensor.append(axis.dim)
    alike: dict[tuple[str, str], list[str]] = {}
    for tensor, of_tensor in dims.items():
        module, _, name = tensor.rpartition(".")
        alike.setdefault((module, f"[{','.join(map(str, of_tensor))}]"), []).append(name)
    return [_braced(module, names, where) for (module, where), names in alike.items()]


def _braced(module: str, names: Sequence[str], where: str) -> str:
    prefix = f"{module}." if module else ""
    if len(names) == 1:
        return f"{prefix}{names[0]}{where}"
    return f"{prefix}{{{','.join(names)}}}{where}" if module else ", ".join(f"{name}{where}" for name in names)


def _row(kind: str, name: str, units: int, blocks: int, axes: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    said = "; ".join(f"{words} {', '.join(names)}".strip() for words, names in axes.items())
    return {"kind": kind, "name": name, "units": units, "blocks": blocks, "axes": said}


def _axis(axis: Axis, symmetry: Symmetry | None = None) -> dict[str, Any]:
    of = symmetry.tensors_of(axis.tensor) if symmetry is not None else ()
    joined = {"joined": list(of)} if len(of) > 1 else {}
    return {"tensor": axis.tensor, **joined, "axes": list(axis.dims), "places_per_unit": axis.places.table.shape[1]}


def _parts(group: ModuleGroup) -> dict[str, Any]:
    return {
        "name": group.name,
        "parts": [list(member) for member in group.members],
        "axes": [_axis(axis) for axis in group.axes],
    }


def _scaled_axes(axes: Sequence[ScaledAxis]) -> list[dict[str, Any]]:
    return [
        _axis(scaled.axis)
        | {"power": scaled.power}
        | ({"epsilon": scaled.epsilon} if scaled.epsilon else {})
        | ({"makes_up_for": scaled.variance} if scaled.variance else {})
        for scaled in axes
    ]


def _number(number: int, singular: str, plural: str = "") -> str:
    return f"{number:,} {singular if number == 1 else plural or f'{singular}s'}"


def _by_axes(groups: Mapping[str, Sequence[Axis]]) -> GroupsByAxes:
    """Return by tensor and axes the groups that live there, and at which places."""
    by_axes: dict[tuple[str, tuple[int, ...]], list[tuple[str, set[int]]]] = {}
    for name, axes in groups.items():
        for axis in axes:
            by_axes.setdefault((axis.tensor, axis.dims), []).append((name, set(axis.places.table.flatten().tolist())))
    return by_axes


def _sharing(axes: Sequence[Axis], groups: GroupsByAxes, order: Iterable[str]) -> list[str]:
    """Return the names of the groups that have a place in common with these axes, in an order of all."""
    met = {
        name
        for axis in axes
        for name, places in groups.get((axis.tensor, axis.dims), ())
        if not places.isdisjoint(axis.places.table.flatten().tolist())
    }
    return [name for name in order if name in met]
