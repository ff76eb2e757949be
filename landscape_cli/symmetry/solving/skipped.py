"""Whether a way that a forward pass may go by what it looks at leaves out no more than what is nothing there.

A loop over experts passes over those that nothing is routed to: what it would add of them, at no place, is nothing.
What was computed the one way, with all that is nothing left out, then is what was computed the other way.
"""

from __future__ import annotations

from collections.abc import Mapping

from landscape_cli.symmetry.solving.hashes import Pair, combined
from landscape_cli.symmetry.tracing.graph import OVERWRITTEN, PUT, Graph, Node
from landscape_cli.symmetry.tracing.operators import operator_of
from landscape_cli.symmetry.tracing.record import Traced

LIKE_ITS_OPERANDS = frozenset({"nonzero", "sum", "any", "_to_copy", "to", "mul", PUT})
"""Operators that return nothing, or zeros, where an operand is; of those that move places, `Operator.moves` tells."""


def leaves_out_nothing(traced: Traced, other: Traced, number: int) -> bool:
    """Tell whether a run that parted from another at a condition computes what the other does where that is not so.

    Args:
        traced: the run in which something was said to be there.
        other: that in which it was not.
        number: which condition, of those asked.
    """
    graph = traced.graph
    present = graph.presence(graph.asked[number])
    if present is None or len(graph.outputs) != len(other.graph.outputs):
        return False
    reduced, plain = _hashes(graph, _places(traced), present[0]), _hashes(other.graph, _places(other))
    return [reduced[node] for node in graph.outputs] == [plain[node] for node in other.graph.outputs]


def _places(traced: Traced) -> Mapping[int, object]:
    """Return by which place of which parameter each unit is known, whatever its number."""
    places: dict[int, object] = {}
    for name, runs in traced.graph.runs.items():
        for k, layer in enumerate(layer for run in runs for layer in run):
            for place, unit in enumerate(traced.labels.find(layer.numpy().ravel()).tolist()):
                places.setdefault(unit, (name, k, place))
    return places


def _hashes(graph: Graph, places: Mapping[int, object], nothing: int | None = None) -> list[Pair]:
    """Return the hashes of all nodes, those left out that are nothing if one is; the units' numbers do not matter."""
    pairs: list[Pair] = []
    kinds: list[object] = []
    zero = {nothing}
    for number, node in enumerate(graph.nodes):
        left = [operand for operand in node.operands if operand not in zero]
        if len(left) < len(node.operands) and _is_nothing(node, left):
            zero.add(number)
        chosen = _remaining(node, left)
        if chosen is not None and number not in zero:
            pairs.append(pairs[chosen])
            kinds.append(kinds[chosen])
            continue
        operands = left if _adds(node) else node.operands
        units = tuple(places.get(unit, unit) for unit in node.units)
        tells = node.name, units
        pairs.append(combined(node, [pairs[k] for k in operands], [kinds[k] for k in operands], tells))
        kinds.append(node.kind)
    return pairs


def _adds(node: Node) -> bool:
    return node.operator in {"add", OVERWRITTEN}


def _is_nothing(node: Node, left: list[int]) -> bool:
    if _adds(node):
        return not left
    return node.operator in LIKE_ITS_OPERANDS or operator_of(str(node.operator)).moves


def _remaining(node: Node, left: list[int]) -> int | None:
    """Return the one operand that a node is, once others are nothing; None if it is more."""
    if len(left) == len(node.operands):
        return None
    if _adds(node) and len(left) == 1:
        return left[0]
    return left[-1] if node.operator == "where" and len(left) == 2 and left == list(node.operands[1:]) else None
