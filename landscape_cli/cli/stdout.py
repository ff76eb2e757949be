"""Standard input, output and error as the shell has left them: closed, full, without a reader, of any encoding."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path

from landscape_cli.errors import ResultError


def open_streams() -> None:
    """Let no file that is opened later take the place of a closed stream, and no letter be too much for an encoding.

    Closed standard output stays None, as Python has it, and nothing is printed there; but messages go nowhere else
    when standard error is closed.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # the lowest that is free is what `open` gives
            os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for the rest of the process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def check_stdout(output: Path | None) -> None:
    """Check that there is a standard output for a result that goes to no file.

    Raises:
        ResultError: if it is closed.
    """
    if output is None and sys.stdout is None:
        raise ResultError("standard output is closed: name a file for the result with -o")


@contextmanager
def writing_stdout() -> Iterator[None]:
    """Make of what standard output refuses an error that a user can read; that nobody reads it is none.

    Raises:
        ResultError: saying what it refuses.
        BrokenPipeError: if nobody reads it.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as cause:
        reason = cause.strerror or cause
        raise ResultError(f"standard output cannot be written ({reason}): name a file with -o, or make room") from cause


def leave_stdout() -> None:
    """Let standard output lead nowhere if it takes no more, or Python's last flush complains of that."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
