"""Standard error that is full, closed, or without a reader, costs no result."""

from __future__ import annotations

import errno
import io
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import landscape_cli
from landscape_cli.cli import console
from landscape_cli.cli.streams import UnfailingStream
from tests.support.train_command import SHORT


class Broken(io.StringIO):
    """Standard error that cannot be written, for one reason after another, on what seems to be a terminal."""

    def __init__(self) -> None:
        super().__init__()
        self.failures = itertools.cycle(ERRORS)

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        raise next(self.failures)

    def flush(self) -> None:
        raise next(self.failures)

    def fileno(self) -> int:
        raise next(self.failures)


ERRORS = (
    OSError(errno.ENOSPC, "No space left on device"),
    BrokenPipeError(errno.EPIPE, "Broken pipe"),
    OSError(errno.EIO, "Input/output error"),
    BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"),
    ValueError("I/O operation on closed file"),
)


def test_every_command_ends_as_it_would(landscape, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "REFRESH_SECONDS", 0)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", Broken())
        assert landscape(*SHORT, "--runs", "3", "-o", "f{seed}.st", "--log", "log.csv").code == 0
        assert landscape("normalize", "f0.st", "f1.st", "f2.st", "--out-dir", "n").code == 0
        assert landscape("align", "n/f0.st", "n/f1.st", "n/f2.st", "--out-dir", "al").code == 0
        assert json.loads(landscape("distance", "f0.st", "f1.st").out)["pairs"]
        assert landscape("path", "f0.st", "f1.st", "--points", "3", "-o", "path.json").code == 0
        assert landscape("plane", "f0.st", "f1.st", "f2.st", "--grid", "3", "-o", "plane.json").code == 0
        assert landscape("flatness", "f0.st", "--samples", "2", "-o", "flatness.csv").code == 0
        assert landscape("distance", "missing.st", "f1.st").code == 2
        assert landscape("distance", "--nonsense").code == 2
    written = {str(path) for path in Path().rglob("*") if path.is_file()}
    assert written == {
        *(f"f{seed}.st" for seed in range(3)),
        *(f"n/f{seed}.st" for seed in range(3)),
        *(f"al/f{seed}_aligned.st" for seed in (1, 2)),
        *("log.csv", "path.json", "plane.json", "flatness.csv"),
    }


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-", "2> >(exec true)"])
def test_exit_codes_of_the_whole_process(tmp_path: Path, redirection: str) -> None:
    run = f"'{sys.executable}' -m landscape_cli distance --nonsense {redirection}"  # needs no torch
    environment = os.environ | {"PYTHONPATH": str(Path(landscape_cli.__file__).parents[1])}
    done = subprocess.run(["bash", "-c", run], capture_output=True, cwd=tmp_path, env=environment, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")


def test_what_can_be_written_is() -> None:
    stream = io.StringIO()
    print("γ", file=UnfailingStream(stream))
    assert stream.getvalue() == "γ\n"
    ascii_only = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    print("γ", file=UnfailingStream(ascii_only))
    assert ascii_only.buffer.getvalue() == b"\\u03b3\n"  # type: ignore[attr-defined]
