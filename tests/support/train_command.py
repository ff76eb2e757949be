"""Small trainings by the command line, and how to stop them."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from landscape_cli.samplers.context import StepContext

TRAIN = ["train", "--model", "mlp", "--hidden", "12,9", "--data", "hmm", "--hmm-latent", "11", "--hmm-dim", "21"]
TRAIN += ["--hmm-test", "50", "--batch-size", "8", "--device", "cpu"]
SHORT = [*TRAIN, "--epochs", "3"]


def log_of(name: str) -> list[dict[str, str]]:
    with Path(name).open() as file:
        return list(csv.DictReader(file))


def stopping_at(monkeypatch: pytest.MonkeyPatch, number: int, *moments: int) -> None:
    """Send this process a signal within these steps, counted from 1."""
    plain, count = StepContext.update, 0

    def update(self: StepContext, rate: float | None = None) -> None:
        nonlocal count
        count += 1
        if count in moments:
            os.kill(os.getpid(), number)
        plain(self, rate)

    monkeypatch.setattr(StepContext, "update", update)
