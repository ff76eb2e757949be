"""Dictionaries of tensors, by identity."""

from __future__ import annotations

import torch

from landscape_cli.symmetry.tracing.identity import TensorDict


def test_equal_tensors_are_different_keys() -> None:
    first, second = torch.zeros(2), torch.zeros(2)
    notes: TensorDict[str] = TensorDict()
    notes[first] = "first"
    assert first in notes
    assert second not in notes
    assert (notes[first], notes.get(first), notes.get(second)) == ("first", "first", None)
    notes[first] = "anew"
    assert notes.pop(second) is None
    assert notes.pop(first) == "anew"
    assert first not in notes


def test_tensors_are_kept_alive() -> None:
    """Else a later tensor could be taken for one that is gone."""
    notes: TensorDict[int] = TensorDict()
    for k in range(100):
        notes[torch.zeros(1)] = k
    assert all(torch.zeros(1) not in notes for _ in range(100))
