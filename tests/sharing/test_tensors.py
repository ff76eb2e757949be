"""What processes exchange tensors by."""

from __future__ import annotations

import atexit
from collections.abc import Callable

import pytest
import torch
from torch.distributed import HashStore, is_initialized

from landscape_cli.sharing.launch import Launch
from landscape_cli.sharing.tensors import SharedTensors


@pytest.mark.parametrize("closed", [False, True])
def test_connections_go_before_python_does_closed_or_not(closed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """As threads that outlive it abort the process."""
    at_the_end: list[Callable[[], object]] = []
    monkeypatch.setattr(atexit, "register", at_the_end.append)
    tensors = SharedTensors(Launch(0, 1, 0, "localhost", 1), HashStore(), torch.device("cpu"))
    tensors.spread(torch.ones(3), 0)
    if closed:
        tensors.close()
    assert is_initialized() is not closed
    for part in at_the_end:
        part()
    assert not is_initialized()
