"""The surrogate landscape (`models.wedges`), whose coordinates are what they are."""

from __future__ import annotations

from landscape_cli.symmetry.tracing.layers import Value
from landscape_cli.symmetry.tracing.operators import rule
from landscape_cli.symmetry.tracing.rules.call import Call

REASON = "the wedges lie along coordinates, each in directions of its own"


@rule("wedge_logits", words="the distance to the nearest wedge", contracts={0: None, 1: None})
def wedge_logits(call: Call) -> Value:
    """The distance to the nearest wedge: nothing is looked for in it, and all is fixed.

    The position counts as weights, as it is no gain and no bias of anything.
    """
    for index in range(2):
        call.tensors.fix(call.operand(index), REASON)
    return Value(call.shape, call.apart((), call.shape))
