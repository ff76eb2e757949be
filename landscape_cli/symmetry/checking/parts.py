"""Which parts of a model trade places, each with all of its tensors, from its outputs alone.

Those found are exchanged, two at a time. Others are looked for among modules that stand beside each other and have
tensors of the same shapes, alone and with those outputs of a gate that have their numbers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import combinations, islice, pairwise

import numpy as np
import torch

from landscape_cli.symmetry.checking.exchanges import ExchangeSearch
from landscape_cli.symmetry.checking.moves import Entries, Move, Moves
from landscape_cli.symmetry.checking.probe import Probe
from landscape_cli.symmetry.spec import Symmetry

MOST = 40
"""How many exchanges are tried of parts that were not found, and of each group that was."""

Tensors = Mapping[str, str]
"""The tensors of one part, by what their names are without its own."""
Member = tuple[str, Tensors]
"""A part: its name and its tensors."""


def found_parts(moves: Moves) -> Iterator[Move]:
    """Yield what the exchange of two parts does, for those that were found to trade places."""
    for group in moves.symmetry.modules:
        for a, b in islice(combinations(range(group.size), 2), MOST):
            order = torch.arange(group.size)
            order[[a, b]] = order[[b, a]]
            yield moves.permuted({group.name: order})


def missed_parts(probe: Probe, symmetry: Symmetry, search: ExchangeSearch) -> Iterator[tuple[str, str]]:
    """Yield the names of modules that trade places and were not found to.

    Where some of their numbers trade places without the others, as of biases that meet in their sum alone, or gains in
    their product, it is numbers that do, not parts.
    """
    starts = probe.starts.tolist()
    numbers = {name: np.arange(*ends) for name, ends in zip(probe.names, pairwise(starts), strict=False)}
    for members, a, b in islice(_pairs(probe, symmetry), MOST):
        (here, mine), (there, others) = members[a], members[b]
        first = np.concatenate([numbers[name] for name in mine.values()])
        second = np.concatenate([numbers[others[suffix]] for suffix in mine])
        if len(first) > 1 and search.keep([_exchange(probe, first[::2], second[::2])]).all():
            continue
        move = _exchange(probe, first, second)
        if search.is_known(move):
            continue  # unit by unit
        inside = {name for _, tensors in members for name in tensors.values()}
        if search.keep([move[gate] for gate in _gates(probe, inside, len(members), a, b)]).any():
            yield here, there


def _exchange(probe: Probe, first: Entries, second: Entries) -> Move:
    """Return the exchange of entries with others, pair by pair."""
    move = np.arange(probe.size)
    move[first], move[second] = second, first
    return move


def _gates(probe: Probe, inside: set[str], count: int, a: int, b: int) -> Iterator[Move]:
    """Yield exchanges of two outputs of a gate, those of any other module as many as there are parts; at first none."""
    moves: defaultdict[str, Move] = defaultdict(lambda: np.arange(probe.size))
    yield moves[""]
    for name, start in zip(probe.names, probe.starts.tolist(), strict=False):
        shape = probe.shapes[name]
        if name not in inside and shape[:1] == (count,):
            rows = start + np.arange(int(np.prod(shape))).reshape(count, -1)
            moves[name.rpartition(".")[0]][rows[[a, b]]] = rows[[b, a]]
    yield from moves.values()


def _pairs(probe: Probe, symmetry: Symmetry) -> Iterator[tuple[list[Member], int, int]]:
    """Yield modules, or tensors, of one module with tensors of the same names and shapes in them, and two of them."""
    modules: defaultdict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for name in probe.names:
        words = name.split(".")
        for k in range(len(words)):
            modules[".".join(words[:k]), words[k]][".".join(words[k + 1 :])] = name
    alike: defaultdict[object, list[Member]] = defaultdict(list)
    for (parent, word), tensors in modules.items():
        kind = parent, tuple(sorted((suffix, probe.shapes[name]) for suffix, name in tensors.items()))
        alike[kind].append((f"{parent}.{word}".removeprefix("."), tensors))
    for members in alike.values():
        for a, b in combinations(range(len(members)), 2):
            if not _is_found(symmetry, members[a][1], members[b][1]):
                yield members, a, b


def _is_found(symmetry: Symmetry, first: Tensors, second: Tensors) -> bool:
    """Tell whether tensors are of parts of one group that was found, or of one that these are in."""
    inside = [{name for member in group.members for name in member} for group in symmetry.modules]
    return any({*first.values(), *second.values()} <= names for names in inside)
