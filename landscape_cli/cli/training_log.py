"""How training is watched: a progress bar on standard error, a line for every epoch in a CSV file."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from landscape_cli.cli.console import REFRESH_SECONDS, make_progress, say, shows_progress
from landscape_cli.errors import ResultError
from landscape_cli.samplers import EpochRecord, Watcher


@contextmanager
def watch(log: Path | None, runs: int, replicas: int, *, quiet: bool) -> Iterator[Watcher]:
    """Yield a watcher that keeps the log and the progress bar.

    Raises:
        ResultError: if the log cannot be written.
    """
    with ExitStack() as stack:
        writer = None
        if log is not None:
            try:
                file = stack.enter_context(log.open("w", newline="", buffering=1))
            except OSError as cause:
                raise ResultError(f"cannot write {log}: {cause.strerror}") from cause
            writer = csv.DictWriter(file, _columns(replicas), lineterminator="\n")
            writer.writeheader()
        bar = stack.enter_context(_Bar()) if shows_progress(quiet) else None

        def epoch(record: EpochRecord) -> None:
            if writer is not None:
                writer.writerow(_row(record))
            if bar is not None:
                bar.epoch(record)

        def diverged(seed: int, line: str) -> None:
            if runs > 1:  # one alone is an error, which is said at the end
                say(f"warning: {line}; other runs go on")

        thorough = writer is not None
        if bar is None:
            yield Watcher(epoch=epoch, diverged=diverged, thorough=thorough)
        else:
            yield Watcher(start=bar.begin, step=bar.step, epoch=epoch, diverged=diverged, thorough=thorough)


PER_REPLICA = {"replica_errors": "error", "replica_distances": "distance"}


def _columns(replicas: int) -> list[str]:
    """Return the columns of the log: those of replicas have one each."""
    plain = [field.name for field in fields(EpochRecord) if field.name not in PER_REPLICA]
    numbers = range(1, replicas + 1) if replicas > 1 else ()
    return plain + [f"replica{number}_{name}" for number in numbers for name in PER_REPLICA.values()]


def _row(record: EpochRecord) -> dict[str, Any]:
    values = asdict(record)
    for key, name in PER_REPLICA.items():
        values |= {f"replica{number}_{name}": value for number, value in enumerate(values.pop(key), 1)}
    return {key: "" if value is None else value for key, value in values.items()}


class _Bar:
    """The progress bar: phase, epoch, loss, training error, steps a second, time left."""

    def __init__(self) -> None:
        from rich.progress import TextColumn

        self._progress = make_progress(
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            TextColumn("loss {task.fields[loss]}"),
            TextColumn("train error {task.fields[error]}"),
        )
        self._task: Any = None

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, phase: str, epochs: int, steps: int, done: int) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(
            phase,
            total=epochs * steps,
            completed=done,
            epoch=done // steps,
            epochs=epochs,
            loss="-",
            error="-",
            rate="",
        )
        self._done = self._begun = done
        self._start = self._shown = time.monotonic()

    def step(self) -> None:
        self._done += 1
        now = time.monotonic()
        if now - self._shown > REFRESH_SECONDS:
            self._shown = now
            rate = f"{(self._done - self._begun) / (now - self._start):,.1f} steps/s"
            self._progress.update(self._task, completed=self._done, rate=rate)

    def epoch(self, record: EpochRecord) -> None:
        if self._task is None:  # an epoch before the one that training resumes with
            return
        error = record.error if record.solution_error is None else record.solution_error
        self._progress.update(
            self._task,
            epoch=record.epoch,
            loss=f"{record.loss:.4g}",
            error=f"{error:.4g}",
            completed=self._done,
        )
