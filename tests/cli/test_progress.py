"""Long work in a log: how much at the start, about a line a minute, one at the end; nothing of what is quick."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from landscape_cli.choices import ProgressStyle
from landscape_cli.cli import progress
from landscape_cli.cli.progress import Chosen, ProgressLines, choose_progress, progress_style
from tests.support.train_command import SHORT


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    yield
    Chosen.style = None


def lines_of(
    monkeypatch: pytest.MonkeyPatch, seconds: float, steps: int, *, done: int = 0, until: int = 0
) -> list[str]:
    """Return what is said of work of so many steps of some seconds each."""
    clock = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    said: list[str] = []
    lines = ProgressLines("path", steps, "samples", said.append, done=done)
    for _ in range((until or steps) - done):
        clock[0] += seconds
        lines.advance(1)
    lines.end()
    return said


def test_quick_work_is_silent_unless_lines_were_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lines_of(monkeypatch, 0.4, 10) == []
    choose_progress(ProgressStyle.LINES)
    assert lines_of(monkeypatch, 0.4, 10) == [
        "path: 10 samples to do",
        "path: 10 samples in 0:00:04, 2.5 samples/s",
    ]


def test_a_line_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    said = lines_of(monkeypatch, 10.0, 30)
    assert said[0] == "path: 30 samples to do"
    assert said[1] == "path: 7 of 30 samples (23%), 0.1 samples/s, 0:03:50 left"
    assert len(said) == 6
    assert said[-1] == "path: 30 samples in 0:05:00, 0.1 samples/s"


def test_what_was_done_before_counts_for_no_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    said = lines_of(monkeypatch, 10.0, 30, done=20)
    assert said[0] == "path: 30 samples to do, 20 done before"
    assert said[1] == "path: 27 of 30 samples (90%), 0.1 samples/s, 0:00:30 left"


def test_work_that_fails_says_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lines_of(monkeypatch, 10.0, 30, until=2) == ["path: 30 samples to do"]


@pytest.mark.parametrize(
    ("quiet", "terminal", "chosen", "style"),
    [
        (False, True, None, "bar"),
        (False, False, None, "lines"),
        (True, True, None, "none"),
        (True, False, "lines", "lines"),
        (False, False, "bar", "bar"),
        (False, True, "none", "none"),
    ],
)
def test_styles(monkeypatch: pytest.MonkeyPatch, quiet: bool, terminal: bool, chosen: str | None, style: str) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    choose_progress(None if chosen is None else ProgressStyle(chosen))
    assert progress_style(quiet) is ProgressStyle(style)


def test_commands(landscape: Callable[..., Any]) -> None:
    """Training and measuring say what they do, and the choice ends with the command and leaves no trace in results."""
    done = landscape(*SHORT, "-o", "a.st", "--progress", "lines")
    assert done.code == 0
    assert any(line.startswith("landscape: train, ") and line.endswith(" to do") for line in done.err.splitlines())
    lines = landscape("path", "a.st", "a.st", "--points", "3", "--progress", "lines")
    starts = [line for line in lines.err.splitlines() if line.startswith("landscape: linear path: ")]
    assert [" to do" in line for line in starts] == [True, False]
    plain = landscape("path", "a.st", "a.st", "--points", "3")
    assert not [line for line in plain.err.splitlines() if "linear path" in line]
    assert plain.out == lines.out
