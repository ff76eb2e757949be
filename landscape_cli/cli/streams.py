"""Standard error that never fails: a message is not worth a result."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast


class UnfailingStream:
    """A text stream whose failures to write are ignored; all else is the stream's own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write as much as can be written, and say that all was."""
        try:
            self._stream.write(text)
        except UnicodeEncodeError:
            with suppress(OSError, ValueError):
                self._stream.write(text.encode("ascii", "backslashreplace").decode())
        except (OSError, ValueError):  # no room, no reader, closed
            pass
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Write lines."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush, if that is possible."""
        with suppress(OSError, ValueError):
            self._stream.flush()


@contextmanager
def unfailing_stderr() -> Iterator[None]:
    """Let everything that writes to standard error go on where that is full, closed, or without a reader."""
    original = sys.stderr
    stream = original if original is not None else open(os.devnull, "w")  # noqa: SIM115 - while the program runs
    sys.stderr = cast("TextIO", UnfailingStream(stream))
    try:
        yield
    finally:
        sys.stderr = original
        try:
            stream.flush()
        except (OSError, ValueError):
            _discard(stream)


def _discard(stream: TextIO) -> None:
    """Let what a stream still holds go nowhere, or Python's last flush would fail and change the exit code."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
