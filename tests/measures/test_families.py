"""What many pairs give per family pair."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from landscape_cli.measures.families import Pair, distance_summary, grouped, path_summary, spread_of

PAIRS = [Pair(0, 1, ("a", "a")), Pair(0, 2, ("a", "b")), Pair(1, 2, ("a", "b"))]


def measured(seed: int, *, midpoint: bool = False) -> dict[str, Any]:
    draw = np.random.default_rng(seed).random
    marks = ("max", "tau", "above_ends", "above_line")
    barrier = {split: dict(zip(marks, draw(4), strict=True)) for split in ("train", "test")}
    points = [{"tau": k / 2, "train_error": draw(), "test_error": draw()} for k in range(3)]
    found: dict[str, Any] = {"barrier": barrier | {"loss": dict(barrier)}, "points": points}
    if midpoint:
        distances = {"start": {"euclidean": draw(), "geodesic": None}}
        found["midpoint"] = {"path": "m.st", "epochs": seed, "distances": distances}
    return found


def test_groups_keep_the_order_of_the_pairs() -> None:
    assert grouped([PAIRS[1], PAIRS[0], PAIRS[2]], ["x", "y", "z"]) == {("a", "b"): ["x", "z"], ("a", "a"): ["y"]}


def test_means_and_deviations() -> None:
    values = [measured(seed, midpoint=True) for seed in range(3)]
    within, between = path_summary(PAIRS, values)
    assert (within["families"], within["pairs"], between["families"], between["pairs"]) == (["a"] * 2, 1, ["a", "b"], 2)
    for split in ("train", "test"):
        assert set(between["barrier"][split]) == {"max", "above_ends", "above_line"}
        for mark, found in between["barrier"][split].items():
            numbers = [value["barrier"][split][mark] for value in values[1:]]
            assert tuple(found.values()) == pytest.approx((np.mean(numbers), np.std(numbers, ddof=1)))
            assert between["barrier"]["loss"][split][mark] == found
    for k, point in enumerate(between["points"]):
        assert point["tau"] == k / 2
        numbers = [value["points"][k]["test_error"] for value in values[1:]]
        assert point["test_error"]["mean"] == pytest.approx(np.mean(numbers))
    assert between["midpoint"]["epochs"] == {"mean": 1.5, "deviation": pytest.approx(0.5**0.5)}
    assert "path" not in between["midpoint"]
    assert math.isnan(between["midpoint"]["distances"]["start"]["geodesic"]["mean"])
    assert math.isnan(within["points"][0]["train_error"]["deviation"])


def test_a_failure_leaves_no_mean() -> None:
    lost = dict.fromkeys(("midpoint", "barrier", "pieces", "points"))
    within, between = path_summary(PAIRS, [measured(0, midpoint=True), lost, measured(1, midpoint=True)])
    assert math.isnan(between["barrier"]["train"]["max"]["mean"])
    assert [math.isnan(point["train_error"]["mean"]) for point in between["points"]] == [True] * 3
    assert not math.isnan(within["barrier"]["train"]["max"]["mean"])


def test_distances() -> None:
    rows = [{"a": "x", "b": "y", "family_a": "a", "family_b": "b", "hamming": k, "cosine": None} for k in range(3)]
    entry = distance_summary(PAIRS, rows)[1]
    assert set(entry) == {"families", "pairs", "hamming", "cosine"}
    assert entry["hamming"]["mean"] == 1.5
    assert math.isnan(entry["cosine"]["mean"])
    assert spread_of([1.0, 3.0]) == {"mean": 2.0, "deviation": pytest.approx(2**0.5)}
