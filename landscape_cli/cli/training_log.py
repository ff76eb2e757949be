"""How training is watched: a progress bar on standard error, a line for every epoch in a CSV file."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from landscape_cli.cli.console import REFRESH_SECONDS, make_progress, shows_progress
from landscape_cli.errors import ResultError
from landscape_cli.samplers import EpochRecord, Watcher


@contextmanager
def watch(log: Path | None, *, quiet: bool) -> Iterator[Watcher]:
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
            writer = csv.DictWriter(file, [field.name for field in fields(EpochRecord)], lineterminator="\n")
            writer.writeheader()
        bar = stack.enter_context(_Bar()) if shows_progress(quiet) else None

        def epoch(record: EpochRecord) -> None:
            if writer is not None:
                writer.writerow({key: "" if value is None else value for key, value in asdict(record).items()})
            if bar is not None:
                bar.epoch(record)

        if bar is None:
            yield Watcher(epoch=epoch)
        else:
            yield Watcher(start=bar.begin, step=bar.step, epoch=epoch)


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

    def begin(self, phase: str, epochs: int, steps: int) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(
            phase, total=epochs * steps, epoch=0, epochs=epochs, loss="-", error="-", rate=""
        )
        self._done = 0
        self._start = self._shown = time.monotonic()

    def step(self) -> None:
        self._done += 1
        now = time.monotonic()
        if now - self._shown > REFRESH_SECONDS:
            self._shown = now
            rate = f"{self._done / (now - self._start):,.1f} steps/s"
            self._progress.update(self._task, completed=self._done, rate=rate)

    def epoch(self, record: EpochRecord) -> None:
        error = record.error if record.solution_error is None else record.solution_error
        self._progress.update(
            self._task,
            epoch=record.epoch,
            loss=f"{record.loss:.4g}",
            error=f"{error:.4g}",
            completed=self._done,
        )
