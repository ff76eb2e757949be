"""Two processes that torchrun starts: the bytes of one; and an end together, whatever happens to one of them."""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from landscape_cli.alignment.pairs import PairAligner
from landscape_cli.cli.ranks import RanksOfThisProcess
from landscape_cli.cli.training.log import EpochLog
from landscape_cli.errors import LandscapeWarning, Remark
from landscape_cli.sharing.journal import Journal
from landscape_cli.sharing.launch import Launch
from tests.cli.test_app import TRAIN
from tests.cli.test_parts import COMMANDS
from tests.support.ranks import environment, free_port, start

PLANE = ["plane", "1.st", "2.st", "--third", "random", "--grid", "3", "--loss", "-o", "r.json", "--resume"]


@pytest.fixture
def networks(made: Callable[..., None]) -> None:
    for seed in (1, 2, 3):
        made(*TRAIN, "--seed", seed, "-o", f"{seed}.st")


@pytest.fixture
def whole(networks: None, landscape: Callable[..., Any]) -> bytes:
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


def test_replicas_are_shared_and_a_signal_to_one_lets_the_first_save(
    landscape: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [*TRAIN, "--algo", "rsgd", "--epochs", "8", "--log", "log.csv", "-o", "r.st"]
    alone = landscape(*command)
    assert alone.code == 0
    whole = {name: Path(name).read_bytes() for name in ("r.st", "log.csv")}
    for name in whole:
        Path(name).unlink()

    def launch() -> Any:
        port = free_port()
        for name, value in environment(0, 2, port).items():
            monkeypatch.setenv(name, value)
        return start([*command, "--resume"], environment(1, 2, port))

    add = EpochLog.add

    def add_and_terminate(log: EpochLog, record: Any) -> None:
        add(log, record)
        if record.epoch == 2:
            second.terminate()

    second = launch()
    with monkeypatch.context() as patched:
        patched.setattr(EpochLog, "add", add_and_terminate)
        done = landscape(*command, "--resume")
    torch.distributed.destroy_process_group()  # every command is a process of its own, whose end the second waits for
    second.communicate()
    assert (done.code, second.returncode) == (143, 143)
    assert "the state of training is in r.st.resume" in done.err
    assert not Path("r.st").exists()
    second = launch()
    done = landscape(*command, "--resume")
    assert second.communicate() == ("", "")
    assert (done.code, second.returncode, done.out) == (0, 0, alone.out)
    assert {name: Path(name).read_bytes() for name in whole} == whole
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
            (["path", "1.st", "2.st", "--kind", "connector"], "leave out torchrun"),
            (["plane", "1.st", "--grid", "x"], "'x' is not a valid integer"),
        ):
            done = landscape(*arguments)
            if rank:
                assert (done.code, done.out, done.err) == (2, "", "")
            else:
                done.check_refused(words, str(arguments))
    monkeypatch.setenv("RANK", "2")
    assert landscape("plane", "1.st").code == 1


class OneAfterTheOther:
    """Two processes, the second before the first: what it says is kept until that asks."""

    said: ClassVar[list[str]] = []

    def __init__(self, launch: Launch, *, lost: Any) -> None:
        self.launch = launch

    def gather(self, value: Any) -> list[Any] | None:
        if self.launch.rank:
            self.said.append(json.dumps(value, allow_nan=False))
            return None
        return [value, json.loads(self.said.pop(0))]

    def go(self) -> bool:
        return True

    def wait(self) -> None:
        pass

    finish = wait

    def fail(self, code: int, said: str) -> None:
        self.failed = code, said


TRAINING = [*TRAIN, "--runs", "3", "--log", "log.csv", "--keep-epochs", "1", "--seed", "4"]
EXPORTS = ["--export", "{name}-a.pt", "--force"]  # as here the second has written before the first looks
SHARED = {
    **{name: [*command, "-o", "r.json"] for name, command in COMMANDS.items()},
    "train": [*TRAINING, "-o", "n-{seed}.st", "--export", "n-{seed}.pt"],
    "align": [*["align", "1.st", "2.st", "3.st", "--out-dir", "to", "--permutations", "p.json"], *EXPORTS],
}


@pytest.mark.usefixtures("networks")
@pytest.mark.parametrize("name", SHARED)
def test_every_command_that_is_shared_comes_to_the_bytes_of_one_process(
    landscape: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def files() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in Path().rglob("*") if path.is_file()}

    before = files()
    alone = landscape(*SHARED[name])
    whole = files()
    assert alone.code == 0
    assert whole != before
    for path in whole.keys() - before.keys():
        Path(path).unlink()
    monkeypatch.setattr("landscape_cli.sharing.ranks.Ranks", OneAfterTheOther)
    for rank in (1, 0):
        for variable, value in environment(rank, 2, 1).items():
            monkeypatch.setenv(variable, value)
        done = landscape(*SHARED[name])
        assert done.code == 0, done.err
        assert (done.out, done.err) == ("", "") if rank else done.out == alone.out
    assert not OneAfterTheOther.said
    assert files() == whole


@pytest.mark.usefixtures("networks")
def test_what_takes_all_at_once_is_for_one_process(
    landscape: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in environment(0, 4, 1).items():
        monkeypatch.setenv(variable, value)
    for arguments, words in (
        (["align", "1.st", "2.st", "--average-out", "m.st"], "--average-out takes all networks at once"),
        (["align", "1.st", "2.st", "--method", "cycle", "--out-dir", "to"], "--method cycle takes all"),
        ([*TRAINING, "-o", "n-{seed}.st"], "4 processes cannot share 3 runs: start fewer, or raise --runs"),
    ):
        landscape(*arguments).check_refused(words, str(arguments))


@pytest.mark.usefixtures("networks")
def test_remarks_of_all_come_out_once_and_other_files_are_refused(
    landscape: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["distance", "1.st", "2.st", "3.st", "--no-functions", "--align", "cosine", "-o", "r.json"]
    monkeypatch.setattr("landscape_cli.sharing.ranks.Ranks", OneAfterTheOther)
    align = PairAligner.align

    def warn(*given: Any, **named: Any) -> Any:
        warnings.warn(f"of {os.environ['RANK']}", Remark, stacklevel=2)
        warnings.warn("of all", LandscapeWarning, stacklevel=2)
        return align(*given, **named)

    monkeypatch.setattr(PairAligner, "align", warn)

    def run(rank: int) -> Any:
        for variable, value in environment(rank, 2, 1).items():
            monkeypatch.setenv(variable, value)
        return landscape(*command, "--progress", "lines")

    assert run(1).err == ""
    lines = run(0).err.splitlines()
    assert [line for line in lines if "of " in line] == [
        "landscape: of 0",
        "landscape: warning: of all",
        "landscape: of 1",
    ]
    Path("r.json").unlink()
    run(1)
    Path("3.st").write_bytes(Path("2.st").read_bytes())
    done = run(0)
    OneAfterTheOther.said.clear()
    assert done.code == 2
    assert "error: process 2 of 2 is of another measurement (inputs.3.st is" in done.err


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
