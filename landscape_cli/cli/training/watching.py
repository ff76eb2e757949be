"""How training is watched: a progress bar on standard error, or lines, and the log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

from landscape_cli.choices import ProgressStyle
from landscape_cli.cli.console import REFRESH_SECONDS, make_progress, say
from landscape_cli.cli.progress import ProgressLines, progress_style
from landscape_cli.cli.training.log import EpochLog
from landscape_cli.samplers.records import EpochNetwork, EpochRecord, TrainingObserver


@contextmanager
def watch(
    log: EpochLog | None,
    runs: int,
    take: Callable[[EpochNetwork], None] = lambda network: None,
    keep_epochs: Sequence[int] = (),
    *,
    quiet: bool,
) -> Iterator[TrainingObserver]:
    """Yield an observer that keeps the log, from the first step or record on, and the progress bar.

    Args:
        log: what keeps records, if any.
        runs: how many are trained.
        take: what becomes of networks that are taken on the way.
        keep_epochs: after which epochs they are, beside snapshots.
        quiet: whether to show nothing.

    Raises:
        ResultError: if the log cannot be begun.
    """
    with ExitStack() as stack:
        style = progress_style(quiet)
        bar: _ProgressBar | _TrainingLines | None = None
        if style is not ProgressStyle.NONE:
            bar = WATCHERS[style]()
            stack.enter_context(bar)
        lines = None if log is None else stack.enter_context(log)
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


class _TrainingLines:
    """Lines about training: phase, epoch, loss, training error, steps a second, time left."""

    def __init__(self) -> None:
        self._lines: ProgressLines | None = None
        self._detail = ""

    def __enter__(self) -> _TrainingLines:
        return self

    def __exit__(self, *_: object) -> None:
        if self._lines is not None:
            self._lines.end()

    def begin(self, phase: str, epochs: int, steps: int, done: int) -> None:
        self.__exit__()
        what = f"{phase}, {epochs} epochs"
        self._lines, self._detail = ProgressLines(what, epochs * steps, "steps", say, done=done), ""

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Lines are in nobody's way."""
        yield

    def step(self) -> None:
        assert self._lines is not None
        self._lines.advance(1, self._detail)

    def epoch(self, record: EpochRecord) -> None:
        error = record.error if record.solution_error is None else record.solution_error
        said = "" if error is None else f", train error {error:.4g}"
        self._detail = f", epoch {record.epoch}, loss {record.loss:.4g}{said}"


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
            error="-" if error is None else f"{error:.4g}",
            completed=self._done,
        )


WATCHERS: dict[ProgressStyle, Callable[[], _ProgressBar | _TrainingLines]] = {
    ProgressStyle.BAR: _ProgressBar,
    ProgressStyle.LINES: _TrainingLines,
}
