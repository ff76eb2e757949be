"""Disks that refuse: what can be written is, and the rest is kept."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from landscape_cli.cli.app import main
from landscape_cli.io import atomic
from tests.support.train_command import SHORT, stopping_at

RUNS = [*SHORT, "--runs", "3", "-o", "x-{seed}.st"]


def refuse(monkeypatch: pytest.MonkeyPatch, is_refused: Callable[[str], bool]) -> None:
    """Let the disk refuse files of some names."""
    plain = os.fsync

    def fsync(handle: int) -> None:
        name = Path(os.readlink(f"/proc/self/fd/{handle}")).name
        if is_refused(name[1:].rpartition(".tmp")[0].rpartition(".")[0]):
            raise OSError(28, "No space left on device")
        plain(handle)

    monkeypatch.setattr(os, "fsync", fsync)


def check_as_undisturbed(command: list[str]) -> None:
    """Check that the files are those of a training that nothing has disturbed, and that nothing else is left."""
    contents = {path.name: path.read_bytes() for path in Path().iterdir()}
    Path("whole").mkdir()
    os.chdir("whole")
    with pytest.raises(SystemExit) as stop:
        main(command)
    assert not stop.value.code
    assert contents == {path.name: path.read_bytes() for path in Path().iterdir()}


@pytest.mark.parametrize("every", [[], ["--checkpoint-every", "1"]])
def test_the_other_runs_are_written_and_the_state_is_kept(
    landscape, monkeypatch: pytest.MonkeyPatch, every: list[str]
) -> None:
    with monkeypatch.context() as patch:
        refuse(patch, lambda name: name == "x-1.st")
        done = landscape(*RUNS, *every)
    assert done.code == 2
    assert [row["seed"] for row in json.loads(done.out)["networks"]] == [0, 2]
    last = done.err.splitlines()[-1]
    assert last.startswith("landscape: error: cannot write x-1.st: No space left on device (the trained networks are ")
    assert "safe in x-0..2.st.resume" in last
    assert sorted(path.name for path in Path().iterdir()) == ["x-0..2.st.resume", "x-0.st", "x-2.st"]
    landscape(*RUNS).check_refused("exists already", "without --resume")
    with monkeypatch.context() as patch:
        stopping_at(patch, signal.SIGKILL, 1)  # there is nothing left to train
        assert landscape(*RUNS, "--resume").code == 0
    check_as_undisturbed(RUNS)


def test_a_disk_that_takes_nothing_is_said_in_one_line(landscape, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        refuse(patch, lambda name: True)
        done = landscape(*RUNS, "--checkpoint-every", "1")
    assert (done.code, done.out) == (2, "")
    lines = done.err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("landscape: warning: the state of training cannot be saved now")
    assert "nor can x-1.st, x-2.st be written (nor can the state of training be saved" in lines[1]
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("until", [2, 99])
@pytest.mark.parametrize("every", [[], ["--checkpoint-every", "1"]])
def test_networks_on_the_way_are_tried_again(
    landscape, monkeypatch: pytest.MonkeyPatch, until: int, every: list[str]
) -> None:
    tries = 0

    def is_refused(name: str) -> bool:
        nonlocal tries
        tries += name == "x-epoch1.st"
        return name == "x-epoch1.st" and tries < until

    base = [*SHORT, "-o", "x.st", "--keep-epochs", "1,2"]
    with monkeypatch.context() as patch:
        refuse(patch, is_refused)
        done = landscape(*base, *every)
    assert "warning: cannot write x-epoch1.st: No space left on device: training goes on" in done.err
    assert done.code == (0 if until == 2 else 2)
    assert Path("x.st").exists()
    if until == 99 and every:
        assert "the state of training is safe in x.st.resume" in done.err.splitlines()[-1]
        assert landscape(*base, *every, "--resume").code == 0
    if until == 99 and not every:
        assert "those on the way: once the way is free" in done.err.splitlines()[-1]
        assert landscape(*SHORT, "-o", "x.st", "--keep-epochs", "2", "--resume").code == 0
        base[-1] = "2"
    check_as_undisturbed(base)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_trained_survives_a_signal_as_it_is_written(
    landscape, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    plain = os.fsync
    count = 0

    def fsync(handle: int) -> None:
        nonlocal count
        count += 1
        if count == 2:
            os.kill(os.getpid(), number)
        plain(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        assert landscape(*RUNS).code == 128 + number
    assert sorted(path.name for path in Path().iterdir()) == ["x-0..2.st.resume", "x-0.st"]
    assert landscape(*RUNS, "--resume").code == 0
    check_as_undisturbed(RUNS)


def test_room_is_looked_for_before_training(landscape, monkeypatch: pytest.MonkeyPatch) -> None:
    stopping_at(monkeypatch, signal.SIGKILL, 1)
    monkeypatch.setattr(atomic.os, "statvfs", lambda _: SimpleNamespace(f_bavail=2, f_frsize=1000, f_blocks=9))
    landscape(*RUNS).check_refused("3 networks take about", "room")
    assert list(Path().iterdir()) == []
