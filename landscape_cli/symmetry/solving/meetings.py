"""Where what a model computes is put together in an order that is no matter, or side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from landscape_cli.symmetry.solving.hashes import is_sum
from landscape_cli.symmetry.solving.siblings import Comparison
from landscape_cli.symmetry.tracing.graph import Graph, Node

ADDING = frozenset({"sum", "mean", "nansum"})
IN_ANY_ORDER = ADDING | {"amax", "amin", "max", "min", "prod", "logsumexp", "any", "all"}
"""Operators over axes for which the order along these is no matter."""


@dataclass(frozen=True)
class Meeting:
    """What is put together.

    Attributes:
        terms: the nodes that are.
        within: what puts them together: nodes between them and the result, with that.
        adds: whether it is their sum, but for a factor.
        axis: along which they lie side by side; None where the order of all of them is no matter.
    """

    terms: tuple[int, ...]
    within: frozenset[int]
    adds: bool = False
    axis: int | None = None


def meetings(graph: Graph, comparison: Comparison, users: Mapping[int, set[int]]) -> Iterator[Meeting]:
    """Yield what is put together of several, in forward order; `users` are those of each node that matter."""
    nodes = graph.nodes
    for number, node in enumerate(nodes):
        using = users.get(number, set())
        if is_sum(node) and not any(nodes[user].kind == node.kind for user in using):
            yield _of_sum(graph, comparison.terms(number), number)
        elif (
            node.operator == "cat" and len(node.operands) > 1 and node.kind not in {nodes[user].kind for user in using}
        ):
            terms, within = _flat(graph, number)
            yield Meeting(tuple(dict.fromkeys(terms)), within, axis=node.axis)
        elif node.operator == "stack" and len(node.operands) > 1 and using:
            reduced = {str(nodes[user].operator) for user in using if _reduces(nodes[user], node)}
            if len(reduced) == 1 and all(_reduces(nodes[user], node) for user in using):
                adds = reduced <= ADDING
                yield Meeting(tuple(dict.fromkeys(node.operands)), frozenset({number}), adds=adds)


def _of_sum(graph: Graph, terms: Sequence[int], number: int) -> Meeting:
    """Return what is put together by a sum, a product or the like, with those that are operands of it."""
    nodes, kind = graph.nodes, graph.nodes[number].kind
    within = set(_flat(graph, number)[1])
    if kind == ("difference",):
        within |= set(terms)
        terms = [nodes[term].operands[0] for term in terms]
    return Meeting(tuple(terms), frozenset(within), adds=kind == ("add",))


def _flat(graph: Graph, number: int) -> tuple[list[int], frozenset[int]]:
    """Return what is put together by a node with those of its kind that are its operands, and all of these."""
    nodes, kind = graph.nodes, graph.nodes[number].kind
    terms: list[int] = []
    within, pending = set[int](), [number]
    while pending:
        here = pending.pop()
        if here not in within:
            within.add(here)
            terms += [operand for operand in nodes[here].operands if nodes[operand].kind != kind]
            pending += [operand for operand in nodes[here].operands if nodes[operand].kind == kind]
    return terms, frozenset(within)


def _reduces(user: Node, stack: Node) -> bool:
    """Tell whether a node is a reduction over the axis that others are stacked along."""
    if user.operator not in IN_ANY_ORDER or len(user.kind) < 2:
        return False
    arguments = user.kind[1]
    rank = max((layer.ndim for layer in stack.labels), default=0)
    over = arguments[1] if len(arguments) > 1 else None
    axes = over if isinstance(over, tuple) else (over,)
    return rank > 0 and stack.axis in [axis % rank for axis in axes if isinstance(axis, int)]
