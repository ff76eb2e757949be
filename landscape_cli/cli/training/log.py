"""How training is watched: a progress bar on standard error, a line for every epoch in a CSV file."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TextIO

from landscape_cli.cli.console import REFRESH_SECONDS, make_progress, say, shows_progress
from landscape_cli.errors import ResultError
from landscape_cli.io.atomic import check_output
from landscape_cli.samplers.records import EpochNetwork, EpochRecord, TrainingObserver


def check_log(log: Path | None, records: Sequence[EpochRecord] | None, replicas: int, *, force: bool) -> None:
    """Check that the log can be written; that of the training which is resumed is written anew.

    Args:
        log: the file, if any.
        records: what the state that is resumed has seen; None to begin.
        replicas: of each run.
        force: whether an existing file may be replaced.

    Raises:
        ResultError: if it cannot, or is of another training.
    """
    if log is None:
        return
    if records is None or not log.is_file():
        check_output(log, force=force, error=ResultError)
    elif not force and not log.read_bytes().startswith(_text(records, replicas).encode()):
        raise ResultError(f"{log} is not the log of this training: choose another name, or pass --force to replace it")


@contextmanager
def watch(
    log: Path | None,
    runs: int,
    replicas: int,
    take: Callable[[EpochNetwork], None] = lambda network: None,
    keep_epochs: Sequence[int] = (),
    *,
    quiet: bool,
) -> Iterator[TrainingObserver]:
    """Yield an observer that keeps the log, from the first step or record on, and the progress bar.

    Args:
        log: the file, if any.
        runs: how many are trained.
        replicas: of each run.
        take: what becomes of networks that are taken on the way.
        keep_epochs: after which epochs they are, beside snapshots.
        quiet: whether to show nothing.

    Raises:
        ResultError: if the log cannot be written.
    """
    with ExitStack() as stack:
        bar = stack.enter_context(_ProgressBar()) if shows_progress(quiet) else None
        lines = None if log is None else stack.enter_context(_EpochLog(log, replicas))
        lost = 0

        def start(phase: str, epochs: int, steps: int, done: int) -> None:
            if lines is not None:
                lines.begin()
            if bar is not None:
                bar.begin(phase, epochs, steps, done)

        def epoch(record: EpochRecord) -> None:
            if lines is not None:
                lines.add(record)
            if bar is not None:
                bar.epoch(record)

        def diverged(seed: int, line: str) -> None:
            nonlocal lost
            lost += 1
            if runs > 1:  # one alone is an error, which is said at the end
                say(f"warning: {line}{'; other runs go on' * (lost < runs)}")

        def network(taken: EpochNetwork) -> None:
            with nullcontext() if bar is None else bar.hidden():
                take(taken)

        step = (lambda: None) if bar is None else bar.step
        yield TrainingObserver(start, step, epoch, diverged, lines is not None, network, keep_epochs)


class _EpochLog:
    """A CSV file with a line for every record, whole lines at any time."""

    def __init__(self, path: Path, replicas: int) -> None:
        self._path, self._replicas = path, replicas
        self._file: TextIO | None = None

    def __enter__(self) -> _EpochLog:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def begin(self) -> None:
        """Write the header, once."""
        if self._file is None:
            self._write(_text((), self._replicas))

    def add(self, record: EpochRecord) -> None:
        """Write a line."""
        self.begin()
        self._write(_text([record], self._replicas, header=False))

    def _write(self, text: str) -> None:
        try:
            if self._file is None:
                self._file = self._path.open("w", newline="")
            self._file.write(text)
            self._file.flush()
        except OSError as cause:
            raise ResultError(f"cannot write the log {self._path}: {cause.strerror or cause}") from cause


PER_REPLICA = {"replica_errors": "error", "replica_distances": "distance"}


def _columns(replicas: int) -> list[str]:
    """Return the columns of the log: those of replicas have one each."""
    plain = [field.name for field in fields(EpochRecord) if field.name not in PER_REPLICA]
    numbers = range(1, replicas + 1) if replicas > 1 else ()
    return plain + [f"replica{number}_{name}" for number in numbers for name in PER_REPLICA.values()]


def _text(records: Sequence[EpochRecord], replicas: int, *, header: bool = True) -> str:
    """Return the lines of records."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _columns(replicas), lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(_row(record) for record in records)
    return text.getvalue()


def _row(record: EpochRecord) -> dict[str, Any]:
    values = asdict(record)
    for key, name in PER_REPLICA.items():
        values |= {f"replica{number}_{name}": value for number, value in enumerate(values.pop(key), 1)}
    return {key: "" if value is None else value for key, value in values.items()}


class _ProgressBar:
    """The progress bar: phase, epoch, loss, training error, steps a second, time left."""

    def __init__(self) -> None:
        from rich.progress import TextColumn

        self._progress = make_progress(
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}", markup=False),
            TextColumn("loss {task.fields[loss]}", markup=False),
            TextColumn("train error {task.fields[error]}", markup=False),
        )
        self._task: Any = None

    def __enter__(self) -> _ProgressBar:
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

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Make way for lines on standard error."""
        self._progress.stop()
        try:
            yield
        finally:
            self._progress.start()

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
