"""Symmetries that are seen, told, and not followed: most exchange parts or units and flip their signs on the way.

Each is known by how something is computed: parts that are alike and subtracted from each other, or weighed by a sigmoid
and by what it leaves of 1; units beside their negatives; complex numbers of which the real part alone counts; matrices
that are looked up by their numbers, whose units need not move in step.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations

from torch import Tensor

from landscape_cli.symmetry.solving.hashes import Pair, combined, is_sum
from landscape_cli.symmetry.solving.siblings import Comparison
from landscape_cli.symmetry.spec import ModuleGroup
from landscape_cli.symmetry.tracing.graph import CONSTANT, JOINING, LEAF, Graph, Node
from landscape_cli.symmetry.tracing.operators import operator_of
from landscape_cli.symmetry.tracing.record import Traced

MAY = "exchanges that are not followed"
"""What is said of all of them."""
COMPLEX = frozenset({"view_as_complex", "complex", "polar"})


def unfollowed(traced: Traced, groups: Sequence[ModuleGroup]) -> tuple[str, ...]:
    """Return what is to be told of such in what one run computed; nothing of parts that trade places as they are."""
    comparison = Comparison(traced)
    found = [{name for member in group.members for name in member} for group in groups]
    pairs = [pair for pair in _opposed(traced.graph, comparison) if not any(set(pair) <= names for names in found)]
    texts = [
        *(f"of parts with their signs flipped, such as {first!r} and {second!r}" for first, second in pairs),
        *(f"of units with their negatives beside them, of {name!r}" for name in _beside_negatives(traced.graph)),
        *(f"of complex numbers with their conjugates, of {name!r}" for name in _conjugated(traced.graph)),
        *(f"of units within each matrix that is looked up by its number, of {name!r}" for name in _looked_up(traced)),
    ]
    return tuple(f"{MAY}: {text}" for text in dict.fromkeys(texts))


def _opposed(graph: Graph, comparison: Comparison) -> Iterator[tuple[str, str]]:
    """Yield the names of tensors that correspond to each other in parts that are subtracted, or weighed so."""
    inner = {operand for node in graph.nodes if is_sum(node) for operand in node.operands}
    for number, node in enumerate(graph.nodes):
        sides: list[Sequence[int]] = []
        if node.operator == "sub" and len(node.operands) == 2:
            sides.append(node.operands)
        elif node.kind == ("add",) and number not in inner:
            terms = comparison.terms(number)
            negated = [graph.nodes[term].operands[0] for term in terms if _negates(graph.nodes[term])]
            sides += [(first, second) for first in terms for second in negated]
            sides += _weighed(graph, terms)
        for first, second in sides:
            if comparison.alike[first] == comparison.alike[second]:
                like = comparison.likeness(first, second)
                if like is not None:
                    yield next(iter(like.tensors.items()))


def _negates(node: Node) -> bool:
    return node.operator == "neg" or (node.operator == "mul" and node.kind[1:] == ((Tensor, -1), ()))


def _weighed(graph: Graph, terms: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of what is multiplied by a sigmoid, and by 1 less that, among terms of a sum."""
    products = [graph.nodes[term].operands for term in terms if graph.nodes[term].kind == ("mul",)]
    factors = [(operands[k], operands[1 - k]) for operands in products for k in (0, 1)]
    for rest, second in factors:
        node = graph.nodes[rest]
        if node.operator == "rsub" and graph.nodes[node.operands[0]].operator == "sigmoid":
            yield from ((first, second) for gate, first in factors if gate == node.operands[0])


def _beside_negatives(graph: Graph) -> Iterator[str]:
    """Yield tensors that write units which are put beside their negatives, or functions of either of each."""
    negatives = [node.operands[0] for node in graph.nodes if _negates(node)]
    joins = [node for node in graph.nodes if node.operator in JOINING]
    if not negatives or not joins:
        return
    signed, unsigned = (_hashes(graph, blind=blind) for blind in (False, True))
    for node in joins:
        for a, b in combinations(node.operands, 2):
            if unsigned[a] == unsigned[b] and signed[a] != signed[b]:
                yield from (name for of in negatives if (name := _writer(graph, of)))


def _hashes(graph: Graph, *, blind: bool) -> list[int]:
    """Return the hashes of all nodes; `blind`: to negation."""
    pairs: list[Pair] = []
    for node in graph.nodes:
        if blind and _negates(node):
            pairs.append(pairs[node.operands[0]])
            continue
        kinds = [graph.nodes[operand].kind for operand in node.operands]
        pairs.append(combined(node, [pairs[k] for k in node.operands], kinds, (node.name, node.units)))
    return [value for value, _ in pairs]


def _writer(graph: Graph, number: int) -> str:
    """Return a tensor that a product, a sum or a norm has, if that is what is there, which can take a sign."""
    node = _seen_through(graph, number)
    can_flip = operator_of(str(node.operator)).contracts or "norm" in str(node.operator) or node.kind == ("add",)
    below = (_seen_through(graph, operand) for operand in node.operands if can_flip)
    return next((leaf.name for leaf in below if leaf.operator == LEAF), "")


def _seen_through(graph: Graph, number: int) -> Node:
    """Return what lies under views."""
    node = graph.nodes[number]
    while len(node.operands) == 1 and operator_of(str(node.operator)).moves:
        node = graph.nodes[node.operands[0]]
    return node


def _conjugated(graph: Graph) -> Iterator[str]:
    """Yield the parameters that complex numbers are made of, where the real part alone of what they come to is read."""
    users: defaultdict[int, list[Node]] = defaultdict(list)
    below: list[frozenset[str]] = []
    made: list[frozenset[str]] = []
    for number, node in enumerate(graph.nodes):
        for operand in node.operands:
            users[operand].append(node)
        below.append(frozenset({node.name} - {""}).union(*(below[k] for k in node.operands)))
        imaginary = node.operator in COMPLEX or (node.operator == "mul" and "j" in str(node.kind[1:]))
        made.append(below[number] if imaginary else frozenset[str]().union(*(made[k] for k in node.operands)))
    for number, node in enumerate(graph.nodes):
        if node.operator == "view_as_real" and made[number]:
            taken = [user.kind[1][-1] if user.operator == "select" else None for user in users[number]]
            if taken and set(taken) == {0}:
                yield min(made[number])


def _looked_up(traced: Traced) -> Iterator[str]:
    """Yield the parameters of several matrices of which some are taken by numbers that are not constant."""
    for node in traced.graph.nodes:
        if node.operator in {"index", "index_select"} and len(node.operands) == 2:
            stack, numbers = (_seen_through(traced.graph, operand) for operand in node.operands)
            long = [size for size in traced.shapes.get(stack.name, ()) if size > 1]
            if len(long) > 2 and stack.name in traced.learned and numbers.operator != CONSTANT:
                yield stack.name
