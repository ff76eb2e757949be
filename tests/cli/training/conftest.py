"""What several tests of training start from."""

from __future__ import annotations

import signal

import pytest

from tests.support.train_command import SHORT, stopping_at


@pytest.fixture
def interrupted(landscape, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A training that was interrupted; returns its command."""
    command = [*SHORT, "--checkpoint-every", "1", "-o", "x.st"]
    with monkeypatch.context() as patch:
        stopping_at(patch, signal.SIGINT, 5)
        assert landscape(*command).code == 130
    return command
