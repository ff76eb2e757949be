"""Symmetries that are wrong on purpose: what negative controls need."""

from __future__ import annotations

from dataclasses import replace

from landscape_cli.symmetry import ScaledAxis, Symmetry


def without(symmetry: Symmetry, kind: str, group: str, tensor: str) -> Symmetry:
    """Return a wrong symmetry, in which a group of "permutations", "scales" or "signs" forgets a tensor."""

    def name_of(axis: object) -> object:
        return axis.axis.tensor if isinstance(axis, ScaledAxis) else getattr(axis, "tensor", None)

    groups = [
        replace(each, axes=tuple(axis for axis in each.axes if name_of(axis) != tensor)) if each.name == group else each
        for each in getattr(symmetry, kind)
    ]
    assert groups != list(getattr(symmetry, kind))
    return replace(symmetry, **{kind: tuple(groups)})
