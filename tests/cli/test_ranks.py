"""Two processes that torchrun starts: the bytes of one; and an end together, whatever happens to one of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from landscape_cli.cli.ranks import RanksOfThisProcess
from landscape_cli.sharing.journal import Journal
from landscape_cli.sharing.launch import Launch
from tests.cli.test_app import TRAIN
from tests.support.ranks import environment, free_port, start

PLANE = ["plane", "1.st", "2.st", "--third", "random", "--grid", "3", "--loss", "-o", "r.json", "--resume"]


@pytest.fixture
def whole(made: Callable[..., None], landscape: Callable[..., Any]) -> bytes:
    for seed in (1, 2):
        made(*TRAIN, "--seed", seed, "-o", f"{seed}.st")
    assert landscape(*PLANE).code == 0
    return Path("r.json").rename("whole.json").read_bytes()


def test_two_come_to_the_bytes_of_one_and_what_a_killed_one_leaves_is_resumed_from(
    whole: bytes, landscape: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def launch() -> Any:
        port = free_port()
        for name, value in environment(0, 2, port).items():
            monkeypatch.setenv(name, value)
        return start(PLANE, environment(1, 2, port))

    keep = Journal.keep

    def keep_and_kill(journal: Journal, values: Any) -> None:
        keep(journal, values)
        while not Path("r.json.resume-1").exists():
            time.sleep(0.01)
        second.kill()
        time.sleep(60)

    second = launch()
    with monkeypatch.context() as patched:
        patched.setattr(Journal, "keep", keep_and_kill)
        begun = time.monotonic()
        done = landscape(*PLANE)
    second.communicate()
    assert (done.code, done.out) == (1, "")
    error, *_ = [line for line in done.err.splitlines() if "error" in line]
    assert done.err.endswith(f"{error}\n")
    assert "error: process 2 of 2 was killed, or is out of reach: see why, and repeat the command" in error
    assert time.monotonic() - begun < 60
    assert not Path("r.json").exists()
    assert {"r.json.resume", "r.json.resume-1"} <= {path.name for path in Path().iterdir()}

    second = launch()
    done = landscape(*PLANE)
    assert (done.code, done.err.splitlines()[-1]) == (0, "landscape: wrote r.json")
    assert second.communicate() == ("", "")
    assert second.returncode == 0
    assert Path("r.json").read_bytes() == whole
    assert not list(Path().glob("*.resume*"))


def test_what_goes_by_one_process_only_is_refused_by_all_and_the_first_says_so(
    landscape: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for rank in (0, 1):
        for name, value in environment(rank, 2, 1).items():  # where nobody waits
            monkeypatch.setenv(name, value)
        for arguments, words in (
            (["normalize", "1.st", "-o", "2.st"], "normalize is the work of one process"),
            (["plane", "--merge", "1.json"], "plane --merge is the work of one process"),
            (["plane", "1.st", "--part", "1/2"], "leave it out"),
            (["plane", "1.st", "--directions", "random"], "leave out torchrun"),
            (["plane", "1.st", "--grid", "x"], "'x' is not a valid integer"),
        ):
            done = landscape(*arguments)
            if rank:
                assert (done.code, done.out, done.err) == (2, "", "")
            else:
                done.check_refused(words, str(arguments))
    monkeypatch.setenv("RANK", "2")
    assert landscape("plane", "1.st").code == 1


@pytest.mark.parametrize(
    ("rank", "other", "code", "said", "words"),
    [
        (0, 2, None, "", "process 3 of 4 was killed"),
        (0, 2, 2, "landscape: error: no room\n", "landscape: error: process 3 of 4: no room\n"),
        (1, 0, None, "", "process 1 of 4 was killed"),
        (1, 0, 2, "", ""),
        (2, 0, None, "", ""),
    ],
)
def test_one_process_alone_says_why_all_end(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    rank: int,
    other: int,
    code: int | None,
    said: str,
    words: str,
) -> None:
    monkeypatch.setattr("landscape_cli.cli.ranks.find_launch", lambda: Launch(rank, 4, rank, "", 1))
    monkeypatch.setattr("os.kill", lambda *_: None)
    monkeypatch.setattr("threading.Timer.start", lambda _: None)
    monkeypatch.setattr("sys.stdout", None)
    monkeypatch.setattr("sys.stderr", __import__("sys").stderr)
    ranks = RanksOfThisProcess()
    ranks.begin()
    ranks._end_with(other, code, said)
    ranks._end_with(3, None, "")  # which ended for the same reason
    assert ranks.fail(lambda: 7) == (code or 1)
    heard = capsys.readouterr().err
    assert words in heard
    assert heard.count("\n") == bool(words)
