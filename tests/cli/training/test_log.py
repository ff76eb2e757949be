"""Logs that are not replaced."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from landscape_cli.cli.training import log
from tests.support.train_command import SHORT, stopping_at


def test_a_file_that_is_no_log_is_not_replaced(landscape, interrupted: list[str]) -> None:
    Path("notes.csv").write_text("precious")
    done = landscape(*interrupted, "--resume", "--log", "notes.csv")
    assert done.code == 2
    assert "notes.csv is not the log of this training" in done.err
    assert Path("notes.csv").read_text() == "precious"


def test_the_log_of_another_training_is_not_replaced(landscape) -> None:
    assert landscape(*SHORT, "--log", "one.csv", "-o", "one.st").code == 0
    before = Path("one.csv").read_bytes()
    more = ["--seed", "9", "--log", "one.csv", "-o", "two.st", "--checkpoint-every", "1", "--resume"]
    done = landscape(*SHORT, *more)
    assert done.code == 2
    assert "there is no two.st.resume to resume from: beginning" in done.err
    assert Path("one.csv").read_bytes() == before
    assert not Path("two.st").exists()


def kept_and_whole(landscape, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], bytes]:
    """Interrupt a training that has a log; return the command and what the log is to be."""
    assert landscape(*SHORT, "-o", "whole.st", "--log", "whole.csv").code == 0
    command = [*SHORT, "-o", "x.st", "--checkpoint-every", "1", "--resume", "--log", "x.csv"]
    with monkeypatch.context() as patch:
        stopping_at(patch, signal.SIGTERM, 14)  # in the third epoch
        assert landscape(*command).code == 143
    return command, Path("whole.csv").read_bytes()


@pytest.mark.parametrize("length", [0, 1, 60, -1])
def test_a_log_that_was_cut_off_is_completed(landscape, monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    command, whole = kept_and_whole(landscape, monkeypatch)
    content = Path("x.csv").read_bytes()
    assert len(content) > 61
    Path("x.csv").write_bytes(content[:length])
    assert landscape(*command).code == 0
    assert Path("x.csv").read_bytes() == whole
    assert Path("x.st").read_bytes() == Path("whole.st").read_bytes()


@pytest.mark.parametrize("ahead", [b"0,train,3,0.0", b"0,train,3,0.0,0.1,0.2,,,,\n"])
def test_a_log_that_is_ahead_goes_on(landscape, monkeypatch: pytest.MonkeyPatch, ahead: bytes) -> None:
    command, whole = kept_and_whole(landscape, monkeypatch)
    with Path("x.csv").open("ab") as file:
        file.write(ahead)
    assert landscape(*command).code == 0
    assert Path("x.csv").read_bytes() == whole


def test_a_missing_log_is_written_whole(landscape, monkeypatch: pytest.MonkeyPatch) -> None:
    command, whole = kept_and_whole(landscape, monkeypatch)
    Path("x.csv").unlink()
    assert landscape(*command).code == 0
    assert Path("x.csv").read_bytes() == whole


def test_no_moment_leaves_less_than_the_state_has_seen(landscape, monkeypatch: pytest.MonkeyPatch) -> None:
    command, whole = kept_and_whole(landscape, monkeypatch)
    seen = Path("x.csv").read_bytes()
    plain = log.EpochLog._write

    def write(self: log.EpochLog) -> None:
        assert Path("x.csv").read_bytes().startswith(seen)
        plain(self)
        assert Path("x.csv").read_bytes().startswith(seen)

    monkeypatch.setattr(log.EpochLog, "_write", write)
    assert landscape(*command).code == 0
    assert Path("x.csv").read_bytes() == whole


@pytest.mark.parametrize("every", [[], ["--checkpoint-every", "2"]])
@pytest.mark.parametrize("moment", [1, 3, 9])
def test_what_resumes_is_never_refused_for_its_log(
    landscape, monkeypatch: pytest.MonkeyPatch, every: list[str], moment: int
) -> None:
    assert landscape(*SHORT, "-o", "whole.st", "--log", "whole.csv").code == 0
    command = [*SHORT, "-o", "x.st", *every, "--resume", "--log", "x.csv"]
    for _ in range(2):
        pid = os.fork()
        if not pid:
            stopping_at(monkeypatch, signal.SIGKILL, moment)
            landscape(*command)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == signal.SIGKILL
    assert landscape(*command).code == 0
    assert Path("x.csv").read_bytes() == Path("whole.csv").read_bytes()
    assert {path.name for path in Path().iterdir()} == {"x.st", "x.csv", "whole.st", "whole.csv"}


class Full:
    """A file on a disk that takes some bytes of the writings between two others."""

    def __init__(self, file: Any, first: int, last: int) -> None:
        self.file, self.first, self.last, self.count = file, first, last, 0

    def write(self, content: bytes) -> int:
        self.count += 1
        if self.first <= self.count < self.last:
            if self.count == self.first:
                self.file.write(content[:5])
            raise OSError(28, "No space left on device")
        return int(self.file.write(content))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


@pytest.mark.parametrize("last", [2, 3, 99])
def test_a_log_on_a_full_disk_costs_no_network(landscape, monkeypatch: pytest.MonkeyPatch, last: int) -> None:
    assert landscape(*SHORT, "-o", "whole.st", "--log", "whole.csv").code == 0
    plain = log.EpochLog.begin

    def begin(self: log.EpochLog) -> None:
        plain(self)
        self._file = Full(self._file, 1, last)  # type: ignore[assignment]

    monkeypatch.setattr(log.EpochLog, "begin", begin)
    done = landscape(*SHORT, "-o", "x.st", "--log", "x.csv")
    assert Path("x.st").read_bytes() == Path("whole.st").read_bytes()
    assert "warning: the log x.csv cannot be written now (No space left on device): training goes on" in done.err
    assert done.code == (2 if last == 99 else 0)
    whole = Path("whole.csv").read_bytes()
    if last < 99:
        assert Path("x.csv").read_bytes() == whole
    else:
        assert "the log x.csv lacks its last 3 lines: No space left on device" in done.err
        assert whole.startswith(Path("x.csv").read_bytes())
        assert Path("x.csv").read_bytes().endswith(b"\n")
