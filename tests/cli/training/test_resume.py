"""Training that is stopped, and goes on."""

from __future__ import annotations

import json
import os
import signal
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from landscape_cli.errors import TrainingError
from landscape_cli.io.checkpoint import read_checkpoint
from landscape_cli.io.lock import locked
from landscape_cli.samplers.context import StepContext
from tests.support.train_command import SHORT, stopping_at


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("algo", ["sgd", "rsgd", "esgd"])
def test_signals_save_and_resume(landscape, monkeypatch: pytest.MonkeyPatch, number: int, code: int, algo: str) -> None:
    base = [*SHORT, "--algo", algo, "--runs", "2"]
    assert landscape(*base, "-o", "whole-{seed}.st", "--log", "whole.csv").code == 0
    more = ["--checkpoint-every", "2", "-o", "x-{seed}.st", "--log", "x.csv"]
    for moment in (1, 4, 3):
        with monkeypatch.context() as patch:
            stopping_at(patch, number, moment)
            done = landscape(*base, *more, "--resume")
            assert done.code == code
            assert "x-0..1.st.resume: add --resume" in done.err
            assert sorted(path.name for path in Path().glob("x*")) == ["x-0..1.st.resume", "x.csv"]
    refused = landscape(*base, *more)
    assert refused.code == 2
    assert "add --resume to go on, or --force" in refused.err
    last = landscape(*base, *more, "--resume")
    assert last.code == 0
    for seed in (0, 1):
        assert Path(f"x-{seed}.st").read_bytes() == Path(f"whole-{seed}.st").read_bytes()
    assert Path("x.csv").read_bytes() == Path("whole.csv").read_bytes()
    assert not Path("x-0..1.st.resume").exists()
    again = landscape(*base, *more, "--resume")
    assert again.code == 0
    assert "finished already" in again.err
    first, repeated = (json.loads(done.out)["networks"] for done in (last, again))
    assert [{key: row[key] for key in row if key != "epochs"} for row in first] == repeated


def test_a_second_signal_stops_at_once(landscape, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = StepContext.update

    def update(self: StepContext, rate: float | None = None) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        plain(self, rate)

    monkeypatch.setattr(StepContext, "update", update)
    assert landscape(*SHORT, "--checkpoint-every", "1", "-o", "x.st").code == 130
    assert [path.name for path in Path().iterdir()] == ["x.st.resume"]  # of the beginning


def test_without_checkpoints_a_signal_leaves_nothing(landscape, monkeypatch: pytest.MonkeyPatch) -> None:
    stopping_at(monkeypatch, signal.SIGTERM, 2)
    assert landscape(*SHORT, "-o", "x.st").code == 143
    assert not list(Path().iterdir())


def edited(content: bytes, edit: Callable[[dict[str, str]], None]) -> bytes:
    """Return a safetensors file with its metadata changed."""
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    edit(header["__metadata__"])
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content[8 + length :]


def test_a_state_fits_its_own_command_only(landscape, interrupted: list[str]) -> None:
    state = Path("x.st.resume")
    whole = state.read_bytes()
    done = landscape(*interrupted, "--resume", "--lr", "0.5")
    assert done.code == 2
    assert "lr was not given, and is 0.5" in done.err
    breaks: list[tuple[bytes, str]] = [
        (whole[: len(whole) // 2], "truncated"),
        (b"", "truncated"),
        (edited(whole, lambda metadata: metadata.pop("facts")), "malformed"),
        (edited(whole, lambda metadata: metadata.update(facts="[1")), "malformed"),
        (edited(whole, lambda metadata: metadata.update(facts="{}")), "damaged"),
        (edited(whole, lambda metadata: metadata.update(format="landscape/1")), "format"),
    ]
    for content, words in breaks:
        state.write_bytes(content)
        done = landscape(*interrupted, "--resume")
        assert done.code == 2
        assert words in done.err
        assert done.err.endswith("remove it to begin anew\n")
        assert len(done.err.strip().splitlines()) == 1
    state.write_bytes(whole)
    assert landscape(*interrupted, "--resume").code == 0


def test_signals_save_whatever_is_resumed(landscape, interrupted: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    command = [*SHORT, "-o", "x.st", "--resume"]
    before = Path("x.st.resume").read_bytes()
    with monkeypatch.context() as patch:
        stopping_at(patch, signal.SIGTERM, 3)
        assert landscape(*command).code == 143
    assert Path("x.st.resume").read_bytes() != before
    assert landscape(*command).code == 0
    assert landscape(*SHORT, "-o", "y.st").code == 0
    assert Path("x.st").read_bytes() == Path("y.st").read_bytes()


def test_runs_that_diverged_are_not_trained_again(landscape, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from landscape_cli.io.checkpoint import write_checkpoint

    for name in ("a.st", "b.st"):
        assert landscape(*SHORT, "-o", name).code == 0
    network = read_checkpoint("a.st")
    write_checkpoint("a.st", replace(network, params={k: t * 1e25 for k, t in network.params.items()}), force=True)
    command = ["train", "--epochs", "2", "--init", "a.st", "--init", "b.st", "--runs", "2", "-o", "x-{seed}.st"]
    command += ["--checkpoint-every", "1", "--resume", "--log", "x.csv"]
    done = landscape(*command)
    assert done.code == 2
    assert "so no network was written for it" in done.err
    assert not Path("x-0.st").exists()
    kept = {name: Path(name).read_bytes() for name in ("x-1.st", "x.csv", "x-0..1.st.resume")}
    stopping_at(monkeypatch, signal.SIGKILL, 1)
    assert landscape(*command).code == 2
    assert kept == {name: Path(name).read_bytes() for name in kept}


def test_force_begins_anew(landscape, interrupted: list[str]) -> None:
    assert landscape(*interrupted, "--force").code == 0
    assert not Path("x.st.resume").exists()


def test_another_trainings_state_is_not_read(
    landscape, interrupted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from landscape_cli.io import safetensors

    monkeypatch.setattr(safetensors, "_read_tensor", lambda *_: pytest.fail("a tensor was read"))
    landscape(*interrupted, "--resume", "--lr", "0.5").check_refused("lr was not given, and is 0.5", "other settings")


def test_an_ignored_hangup_stays_ignored(landscape, monkeypatch: pytest.MonkeyPatch) -> None:
    """As under nohup; a hangup that is not ignored still saves and ends."""
    stopping_at(monkeypatch, signal.SIGHUP, 3)
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert landscape(*SHORT, "--resume", "-o", "x.st").code == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, previous)
    assert [path.name for path in Path().iterdir()] == ["x.st"]


def test_a_file_that_appears_meanwhile_is_not_replaced(landscape, monkeypatch: pytest.MonkeyPatch) -> None:
    command = [*SHORT, "--checkpoint-every", "2", "--resume", "-o", "x.st"]
    plain = StepContext.update
    with monkeypatch.context() as patch:

        def update(self: StepContext, rate: float | None = None) -> None:
            Path("x.st").write_text("precious")
            plain(self, rate)

        patch.setattr(StepContext, "update", update)
        done = landscape(*command)
    assert done.code == 2
    assert "safe in x.st.resume" in done.err
    assert Path("x.st").read_text() == "precious"
    Path("x.st").unlink()
    with monkeypatch.context() as patch:
        stopping_at(patch, signal.SIGKILL, 1)  # there is nothing left to train
        assert landscape(*command).code == 0
    assert landscape(*SHORT, "-o", "y.st").code == 0
    assert Path("x.st").read_bytes() == Path("y.st").read_bytes()


def test_a_finished_file_of_another_training_is_not_replaced(landscape, interrupted: list[str]) -> None:
    assert landscape(*SHORT, "--seed", "9", "-o", "other.st").code == 0
    Path("x.st").write_bytes(Path("other.st").read_bytes())
    done = landscape(*interrupted, "--resume")
    assert done.code == 2
    assert "of another training" in done.err
    assert Path("x.st").read_bytes() == Path("other.st").read_bytes()


def test_two_jobs_on_one_training(landscape, interrupted: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path: path.read_bytes() for path in Path().iterdir()}
    with locked(Path("x.st.resume"), what="another", error=TrainingError):
        for more in (["--resume"], [], ["--force"], ["--resume", "--force"]):
            landscape(*interrupted, *more).check_refused("x.st.resume is in use: another training that writes it", more)
    assert {path: path.read_bytes() for path in Path().iterdir()} == before
    stopping_at(monkeypatch, signal.SIGTERM, 1)
    assert landscape(*interrupted, "--resume").code == 143
    assert {path.name for path in Path().iterdir()} == {path.name for path in before}


def test_what_killed_runs_have_left_is_cleared(landscape, interrupted: list[str]) -> None:
    for name in (".x.st.abcdefgh.tmp", ".x.st.resume.abcdefgh.tmp", ".x.st.resume.lock"):
        Path(name).write_text("half")
    assert landscape(*interrupted, "--resume").code == 0
    assert [path.name for path in Path().iterdir()] == ["x.st"]
    Path(".x.st.abcdefgh.tmp").write_text("half")
    assert "finished already" in landscape(*interrupted, "--resume").err
    assert [path.name for path in Path().iterdir()] == ["x.st"]
