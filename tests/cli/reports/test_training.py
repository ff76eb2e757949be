"""What `train` shows on a terminal of 80 columns: nothing is cut, and every network can be told from the others."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.terminal import cells_of, shown_on_terminal
from tests.support.train_command import TRAIN

LONG = "a-name-as-people-give-them-to-networks"


@pytest.mark.parametrize(
    "options",
    [
        ["--keep-epochs", "0,1", "--algo", "snapshot", "--cycles", "2", "--keep-snapshots"],
        ["--subspace-dim", "20", "--keep-epochs", "0,1", "--subspace-seed", str(10**9)],
    ],
    ids=["way", "subspace"],
)
def test_tables_at_80_columns(landscape: Callable[..., Any], options: list[str]) -> None:
    command = [*TRAIN, "--epochs", "2", *options, "-o", f"{LONG}-{{seed}}.st", "--force", "--quiet"]
    shown = shown_on_terminal(*command, "--seed", "5")
    row = json.loads(landscape(*command, "--seed", "5").out)
    networks = [row, *row.get("kept", ()), *row.get("snapshots", ())]
    rows = cells_of(shown)
    confined = "subspace" in row
    names = [each["network"] for each in networks] * (1 + confined)
    for cells, name in zip(rows, names, strict=True):  # cut in the middle
        head, _, tail = cells[0].partition("…")
        assert head
        assert tail
        assert name.startswith(head)
        assert name.endswith(tail)
    assert len({cells[0] for cells in rows}) == len(set(names))
    for cells, each in zip(rows, networks, strict=False):
        scores = [each[f"{split}_{what}"] for what in ("error", "loss") for split in ("train", "test")]
        assert list(map(float, cells[-4:])) == pytest.approx(scores, rel=1e-3)
        assert cells[1 + ("snapshots" in row)] == str(each.get("epoch", 2))
    for cells, each in zip(rows[len(networks) :], networks, strict=False):
        inside = each["subspace"]
        assert cells[1:5] == [str(inside[name]) for name in ("dim", "of", "basis", "seed")]
        moved = [inside[name] for name in ("moved", "moved_relative")]
        assert list(map(float, cells[5:])) == pytest.approx(moved, rel=1e-3)
