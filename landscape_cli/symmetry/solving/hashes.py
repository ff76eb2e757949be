"""A number for everything computed that is the same where the same is computed of the same, in whatever order."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from landscape_cli.symmetry.tracing.graph import COMMUTATIVE, OVERWRITTEN, Node

MASK = (1 << 64) - 1
Pair = tuple[int, int]
"""The hash of a node, and what it adds to the sum that it is an operand of: for sums that of their operands."""


class Hashes:
    """The hashes of all nodes of a graph.

    Attributes:
        pairs: of each node, its hash and its share in a sum.
    """

    def __init__(self, nodes: Sequence[Node], tells: Callable[[Node], Hashable]) -> None:
        """Hash all nodes; `tells` says what is to tell them apart beside kinds and operands."""
        self.pairs: list[Pair] = []
        for node in nodes:
            operands = [self.pairs[operand] for operand in node.operands]
            kinds = [nodes[operand].kind for operand in node.operands]
            self.pairs.append(combined(node, operands, kinds, tells(node)))

    def __getitem__(self, number: int) -> int:
        """Return the hash of a node."""
        return self.pairs[number][0]


def is_sum(node: Node) -> bool:
    """Tell whether the order of a node's operands is no matter, nor that of sums of such."""
    return (node.kind[0] in COMMUTATIVE and len(node.kind) == 1) or node.kind[0] == OVERWRITTEN


def combined(node: Node, operands: Sequence[Pair], kinds: Sequence[object], tells: Hashable) -> Pair:
    """Return the hash of a node from those of its operands, and the kinds of these."""
    if not is_sum(node):
        made = _mixed((_spelled(node.kind), tuple(value for value, _ in operands), _spelled(tells)))
        return made, _mixed((made, "an operand"))
    share = sum(
        part if kind == node.kind else _mixed((value, "an operand"))
        for (value, part), kind in zip(operands, kinds, strict=True)
    )
    return scrambled((node.kind, share & MASK, tells)), share & MASK


def scrambled(value: Hashable) -> int:
    """Return a hash whose sums tell their summands (`integers.mix`): those of Python are nearly linear in numbers."""
    return _mixed(_spelled(value))


def _mixed(spelled: Hashable) -> int:
    """Return such a hash of what holds no numbers but hashes."""
    bits = (hash(spelled) + 0x9E3779B97F4A7C15) & MASK
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & MASK
    return bits ^ (bits >> 31)


def _spelled(value: Any) -> Any:
    """Return a value, its numbers as text: Python's hashes of -1 and -2 are the same, and of others modulo a prime."""
    if isinstance(value, tuple):
        return tuple(map(_spelled, value))
    if isinstance(value, float) and value.is_integer():
        return repr(int(value))  # as 2.0 is 2
    return repr(value) if isinstance(value, (int, float, complex)) else value
