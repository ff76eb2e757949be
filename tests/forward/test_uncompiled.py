"""Operators without numbers run as they are written meanwhile, and PyTorch's own are left as they were."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from landscape_cli.forward import uncompiled
from landscape_cli.forward.uncompiled import TOLD, without_compiler


def left() -> list[str]:
    return [function.__name__ for function in uncompiled._left_alone() if hasattr(function, TOLD)]


def test_the_compiler_is_asked_but_within(monkeypatch: pytest.MonkeyPatch) -> None:
    def written() -> str:
        return "as written"

    operator = vars(torch)["_disable_dynamo"](written)
    compiler = SimpleNamespace(disable=lambda *_, **__: lambda: "as the compiler says")
    monkeypatch.setattr(uncompiled, "_left_alone", lambda: [written])
    monkeypatch.setitem(vars(torch), "_dynamo", compiler)
    monkeypatch.delitem(sys.modules, uncompiled.COMPILER, raising=False)
    with without_compiler():
        assert operator() == "as written"
    monkeypatch.setitem(sys.modules, uncompiled.COMPILER, compiler)
    with without_compiler():  # which is there
        assert operator() == "as the compiler says"


def test_operators_are_found_and_left_as_they_were_after_errors_and_within_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, uncompiled.COMPILER, raising=False)
    before = left()
    with without_compiler():
        count = len(left())
        assert count > len(before)
        assert {"cumsum", "layer_norm", "normal"} & set(left())
        with pytest.raises(ValueError, match="within"), without_compiler():
            raise ValueError("within")
        assert len(left()) == count
        assert nn.functional.softplus(torch.empty(2, 3, device="meta").cumsum(0)).shape == (2, 3)
    assert left() == before
