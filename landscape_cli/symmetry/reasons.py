"""Why axes are fixed: by nature, as inputs and outputs are, or because their units are not understood."""

from __future__ import annotations

import re
from collections.abc import Sequence

from landscape_cli.errors import listed
from landscape_cli.symmetry.solving.refinement import CROSSED, ITSELF, OTHERWISE
from landscape_cli.symmetry.spec import FixedAxis, Symmetry
from landscape_cli.symmetry.tracing.rules.convolutions import WINDOW
from landscape_cli.symmetry.tracing.tensors import HIDDEN, IN_PLACE, NO_RULE, NUMBERED, SORTED, TIED, UNKNOWN_PLACE

WITHIN = " in the module "
NOT_UNDERSTOOD = (NO_RULE, UNKNOWN_PLACE, IN_PLACE, NUMBERED, SORTED, TIED, HIDDEN, OTHERWISE, ITSELF, CROSSED, WINDOW)
"""What reasons begin with that are none by nature, beside operators."""
OPERATOR = re.compile(r"(\w+)\.(\w+)\.\w+$")
"""An operator as the tracer calls it in reasons: library, name and overload."""


def is_understood(axis: FixedAxis) -> bool:
    """Tell whether an axis is fixed by nature: as an input, an output, a place, or with nothing to trade places with.

    It is not where an operator has no rule, or ties units in a way that its rule does not follow.
    """
    what = axis.reason.partition(WITHIN)[0]
    return not (what.startswith(NOT_UNDERSTOOD) or OPERATOR.fullmatch(what))


def not_understood(symmetry: Symmetry) -> tuple[FixedAxis, ...]:
    """Return the axes that are fixed because what becomes of their units was not understood."""
    return tuple(axis for axis in symmetry.fixed if not is_understood(axis))


def counted(symmetry: Symmetry) -> dict[str, int]:
    """Return how many axes have units that are free, how many are fixed by nature, and how many are not understood.

    An axis of which a part is not understood counts as that; one of which a part is free, as free.
    """
    axes = (axis for groups in (symmetry.permutations, symmetry.modules) for group in groups for axis in group.axes)
    free = {(name, dim) for axis in axes for name in symmetry.tensors_of(axis.tensor) for dim in axis.dims}
    unknown = {(axis.tensor, axis.dim) for axis in not_understood(symmetry)}
    natural = {(axis.tensor, axis.dim) for axis in symmetry.fixed} - unknown - free
    return {"free": len(free - unknown), "by_nature": len(natural), "not_understood": len(unknown)}


def doubts(symmetry: Symmetry) -> list[str]:
    """Return what is to be said of axes whose units are not followed, beside what is noted already; a line a reason.

    The tracer notes operators without a rule as it meets them, but for those that return no more than whole numbers.
    """
    lines = []
    axes = [axis for axis in not_understood(symmetry) if not _is_noted(axis.reason, symmetry.notes)]
    for reason in dict.fromkeys(axis.reason for axis in axes):
        names = dict.fromkeys(f"{axis.tensor}[{axis.dim}]" for axis in axes if axis.reason == reason)
        lines.append(f"what becomes of units is not understood ({reason}), at {listed(names, most=2)}")
    return lines


def _is_noted(reason: str, notes: Sequence[str]) -> bool:
    """Tell whether an operator that has no rule is noted."""
    where = reason.removeprefix(NO_RULE).removeprefix(UNKNOWN_PLACE)
    return where != reason and any(where in note for note in notes)
