"""Symmetries that many tests need, each derived once a process: tracing takes longer than what is tested with it."""

from __future__ import annotations

from collections.abc import Hashable

from torch import Tensor, nn

from landscape_cli.symmetry import Symmetry, trace_symmetry

_derived: dict[Hashable, Symmetry] = {}


def symmetry_of(structure: Hashable, model: nn.Module, example: Tensor) -> Symmetry:
    """Return a model's symmetry, which `structure` and the type of numbers decide: their values have no part in it."""
    key = structure, example.dtype
    if key not in _derived:
        _derived[key] = trace_symmetry(model, example)
    return _derived[key]
