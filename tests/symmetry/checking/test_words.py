"""What a check says: ranges of indices, what trades places with what, why something is undecided."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from landscape_cli import trace_symmetry
from landscape_cli.symmetry.checking.completeness import Completeness, Count
from landscape_cli.symmetry.checking.moves import Move
from landscape_cli.symmetry.checking.probe import Probe
from landscape_cli.symmetry.checking.words import completeness_lines, move_in_words, places_in_words


@pytest.fixture(scope="module")
def probe() -> Probe:
    model = nn.Sequential(nn.Linear(2, 9), nn.ReLU(), nn.Linear(9, 2)).double()
    symmetry = trace_symmetry(model, torch.zeros(1, 2, dtype=torch.float64))
    return Probe(model, model.state_dict(), symmetry, seed=torch.Generator().manual_seed(0))


def rows(probe: Probe, *indices: int) -> Move:
    return np.concatenate([np.array([2 * index, 2 * index + 1]) for index in indices])


@pytest.mark.parametrize(
    ("indices", "words"),
    [((0, 1), "0, 1"), ((0, 1, 2, 3, 7), "0-3, 7"), ((0, 2, 4, 6, 8), "0, 2, 4, 6, 8"), (range(9), "all")],
)
def test_indices_are_ranges(probe: Probe, indices: tuple[int, ...], words: str) -> None:
    said = places_in_words(probe, rows(probe, *indices))
    assert said == (f"0.weight {words}" if words == "all" else f"0.weight[0] {words}")


def test_what_trades_places_with_what(probe: Probe) -> None:
    move = np.arange(probe.size)
    here, there = rows(probe, 0, 1, 2), rows(probe, 6, 7, 8)
    move[here], move[there] = there, here
    assert move_in_words(probe, move) == "0.weight[0-2 <-> 6-8, :]"
    here, there = rows(probe, 0, 1, 2), rows(probe, 8, 7, 6)
    move[here], move[there] = there, here
    assert move_in_words(probe, move) == "0.weight[0-2 <-> 8-6, :]"
    move[18], move[19], move[20] = 19, 20, 18
    assert move_in_words(probe, move).endswith("; 0.bias[0] 0-2 among each other")


@pytest.mark.parametrize("blind", [False, True])
def test_what_is_undecided_says_why(blind: bool) -> None:
    none = Count("groups", 0, 0, 0, ())
    [_, line] = completeness_lines(Completeness(none, none, none, none, undecided=("a[0] with [1]",), blind=blind))
    assert line.startswith("warning: 1 exchange (a[0] with [1]) could neither be shown nor ruled out: ")
    assert ("NaN" in line) == blind
