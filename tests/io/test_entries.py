"""Which entry of a file holds the network."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from landscape_cli.errors import CheckpointError
from landscape_cli.io.entries import KEYS, find_network, tensors_under

A, B = ({"w": torch.full((2,), float(k))} for k in range(2))


@pytest.mark.parametrize("key", KEYS)
def test_usual_entries(key: str) -> None:
    found = find_network("a.pt", {"epoch": 3, key: A, "optimizer": {"state": {0: torch.ones(1)}}})
    assert (found.tensors, found.key, found.rivals) == (A, key, ())


@pytest.mark.parametrize(
    ("content", "key", "expected", "where"),
    [
        ({"model": A, "ema": B}, "", A, "model"),
        ({"params_ema": B, "params": A}, "", A, "params"),
        ({"ema": B, "generator": A}, "ema", B, "ema"),
        ({"x": {"y": A}}, "x.y", A, "x.y"),
        ({"x": {"model": A}}, "x", A, "x.model"),
        ({"x.y": A}, "x.y", A, "x.y"),
        ({"x": {"y.z": {"net": A}}}, "x.y.z", A, "x.y.z.net"),
        ({"epoch": 1, "model": {"net": {"x.w": A["w"], "y.w": B["w"]}}, "n": 2}, "y", B, "model.net"),
        ({"model": A, "epoch": 1, "ema": {"ema_model.w": B["w"], "step": torch.ones(1)}}, "ema.ema_model", B, "ema"),
    ],
)
def test_keys(content: dict[str, Any], key: str, expected: dict[str, Any], where: str) -> None:
    found = find_network("a.pt", content, key)
    assert [tensor.tolist() for tensor in found.tensors.values()] == [tensor.tolist() for tensor in expected.values()]
    assert found.key == where


def test_others_are_named() -> None:
    """A network that was not chosen is told of, also within; what holds none is not."""
    content = {"state_dict": {"model": A, "ema": B}, "teacher": B, "params": {"lr": 0.1}, "net": {}}
    found = find_network("a.pt", content)
    assert (found.key, found.rivals) == ("state_dict.model", ("teacher", "state_dict.ema"))


CYCLE: dict[str, Any] = {"epoch": 1}
CYCLE |= dict.fromkeys(KEYS, CYCLE)
DEEP: dict[str, Any] = {}
for _ in range(100_000):
    DEEP = {"model": DEEP}
BROAD: dict[str, Any] = {}
for _ in range(4):
    BROAD = {str(k): BROAD for k in range(1000)}


@pytest.mark.parametrize(
    ("content", "key", "words"),
    [
        ({"a": A, "b": B, "n": 1}, "", r"a\.pt holds tensors under a, b: choose with `key=` a$"),
        ({"a": A, "b": 1}, "b", "holds a int under 'b'"),
        ({"a": A, "b": 1}, "c", r"nothing under `key=` c; it holds tensors under a: choose with `key=` a$"),
        ({"a": {"b": A}}, "a", r"under 'a' holds tensors under a\.b: choose with `key=` a\.b$"),
        ({"a": {"b": A}}, "a.c", r"nothing under `key=` a\.c; it holds tensors under a\.b: choose with `key=` a\.b$"),
        ({"model": A}, "model.w", "expected a state_dict|holds a Tensor"),
        (A, "x", r"nothing under `key=` x: its names begin with w$"),
        ({"a": {"b": A, "c": {"d": B}}}, "", r"holds tensors under a\.b, a\.c\.d: choose with `key=` a\.b$"),
        ({"a": {"b": A, "ema": B}, "n": 1}, "ema", r"under a\.ema, a\.b: choose with `key=` a\.ema$"),
        ({"optimizer": {"state": {0: A}}}, "", r"entries that are no tensors \(optimizer \(dict\)\)"),
        ({"net.body.w": A["w"], "net.head": A["w"]}, "body", r"under `key=` body: choose with `key=` net\.body$"),
        ({"a": {}}, "a", "no tensors under 'a'"),
        ({"model": {"epoch": 3}}, "", r"under 'model' holds entries that are no tensors \(epoch \(int\)\)"),
        (CYCLE, "", "holds|deep"),
        (CYCLE, "model.model.ema", "holds|deep"),
        (DEEP, "", "deep"),
        (DEEP, ".".join(["model"] * 500), "deep"),
        (BROAD, "", "no tensors"),
        ({"a\x1b[31m\n": A}, "", r"a\\x1b"),
        ({"a": A}, "." * 50, "nothing under"),
    ],
)
def test_refused(content: Any, key: str, words: str) -> None:
    with pytest.raises(CheckpointError, match=words) as error:
        find_network("a.pt", content, key)
    assert "\n" not in str(error.value)


def test_names_that_begin_with_a_key() -> None:
    tensors = {"net.w": A["w"], "network.w": B["w"]}
    assert tensors_under("a", tensors, "net").keys() == {"net.w"}
    assert tensors_under("a", tensors, "") == tensors
