"""`landscape train` with many runs, and training that is stopped and goes on."""

from __future__ import annotations

import csv
import json
import os
import signal
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmarks.kill import survive
from landscape_cli.io.checkpoint import read_checkpoint
from landscape_cli.samplers.loop import Loop

TRAIN = ["train", "--model", "mlp", "--hidden", "12,9", "--data", "hmm", "--hmm-latent", "11", "--hmm-dim", "21"]
TRAIN += ["--hmm-test", "50", "--batch-size", "8", "--device", "cpu"]
SHORT = [*TRAIN, "--epochs", "3"]


def log_of(name: str) -> list[dict[str, str]]:
    with Path(name).open() as file:
        return list(csv.DictReader(file))


def test_runs_are_the_networks_trained_alone(landscape) -> None:
    done = landscape(*SHORT, "--runs", "3", "--seed", "4", "-o", "many-{seed}.st", "--log", "many.csv")
    assert done.code == 0
    report = json.loads(done.out)
    assert [row["network"] for row in report["networks"]] == ["many-4.st", "many-5.st", "many-6.st"]
    for row in report["networks"]:
        seed = row["seed"]
        assert landscape(*SHORT, "--seed", seed, "-o", f"{seed}.st").code == 0
        assert Path(f"{seed}.st").read_bytes() == Path(f"many-{seed}.st").read_bytes()
        assert read_checkpoint(f"{seed}.st").metrics["train_error"] == row["train_error"]
        assert row["epochs"] == 3
    rows = log_of("many.csv")
    assert [(row["seed"], row["epoch"]) for row in rows] == [(str(s), str(e)) for e in (1, 2, 3) for s in (4, 5, 6)]


def test_runs_need_names(landscape) -> None:
    done = landscape(*SHORT, "--runs", "2", "-o", "x.st")
    assert done.code == 2
    assert "'x-{seed}.st'" in done.err
    assert not list(Path().iterdir())
    assert landscape(*SHORT, "--seed", "7", "-o", "one-{seed}.st").code == 0
    assert Path("one-7.st").exists()
    Path("y-1.st").touch()
    done = landscape(*SHORT, "--runs", "2", "-o", "y-{seed}.st")
    assert done.code == 2
    assert "y-1.st exists already" in done.err
    assert not Path("y-0.st").exists()


def test_replicas_are_kept(landscape) -> None:
    done = landscape(*SHORT, "--algo", "rsgd", "--replicas", "2", "--keep-replicas", "-o", "c.st", "--log", "c.csv")
    assert done.code == 0
    centre, *replicas = (read_checkpoint(name).params for name in ("c.st", "c-replica1.st", "c-replica2.st"))
    assert not Path("c-replica3.st").exists()
    for key, tensor in centre.items():
        mean = (replicas[0][key].double() + replicas[1][key].double()) / 2
        assert torch.allclose(tensor.double(), mean, atol=1e-6)
        assert not torch.equal(replicas[0][key], replicas[1][key])
    row = log_of("c.csv")[-1]
    distance = sum(float((replicas[0][key] - centre[key]).double().square().sum()) for key in centre) ** 0.5
    assert float(row["replica1_distance"]) == pytest.approx(distance, rel=1e-4)
    assert float(row["solution_error"]) == pytest.approx(read_checkpoint("c.st").metrics["train_error"])
    assert landscape(*SHORT, "--keep-replicas", "-o", "d.st").code == 2


def test_random_labels_are_learnt_as_asked(landscape) -> None:
    """Each phase has its optimiser, and the rate that is its default."""
    found = {}
    adversarial = [*TRAIN, "--algo", "adv", "--adv-until-error", "1", "--epochs", "2", "--lr-schedule", "constant"]
    for first, rate in (("sgd", 0.02), ("adam", 0.001)):
        done = landscape(*adversarial, "--adv-optimizer", first, "-o", f"{first}.st", "--log", f"{first}.csv")
        assert done.code == 0
        found[first], *rest = log_of(f"{first}.csv")
        assert found[first]["phase"] == "adversarial"
        assert float(found[first]["learning_rate"]) == pytest.approx(rate, rel=0.01)
        assert [(row["phase"], float(row["learning_rate"])) for row in rest] == [("train", 0.02)] * 2
    assert found["sgd"]["loss"] != found["adam"]["loss"]
    plain = landscape(*adversarial, "-o", "x.st")
    assert "adv_optimizer" not in json.loads(plain.out)["provenance"]["arguments"]
    refused = landscape(*SHORT, "--adv-optimizer", "adam", "-o", "y.st")
    assert (refused.code, "for --algo adv" in refused.err) == (2, True)


@pytest.mark.parametrize("algo", ["sam", "swa", "esgd"])
def test_other_samplers(landscape, algo: str) -> None:
    done = landscape(*TRAIN, "--epochs", "25", "--algo", algo, "-o", "x.st", "--log", "x.csv")
    assert done.code == 0
    assert json.loads(done.out)["algo"] == algo
    errors = [float(row["error"]) for row in log_of("x.csv")]
    assert errors[-1] < errors[0]
    other = {"sam": "--swa-start", "swa": "--esgd-steps", "esgd": "--sam-rho"}[algo]
    done = landscape(*SHORT, "--algo", algo, other, "1", "-o", "y.st")
    assert done.code == 2
    assert "is for --algo" in done.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--optimizer", "adam", "--momentum", "0.5"], "adam has its own"),
        (["--lr-decay", "0.5"], "--lr-schedule step"),
        (["--lr-schedule", "step", "--lr-milestones", "x"], "--lr-milestones takes numbers"),
        (["--algo", "swa", "--lr-schedule", "constant"], "schedule of its own"),
        (["--algo", "esgd", "--gamma-init", "auto"], "takes a number"),
        (["--augment", "flip"], "only images"),
        (["--clip-norm", "-1"], "must be positive"),
        (["--weight-decay", "nan"], "must not be negative"),
        (["--algo", "rsgd", "--gamma-schedule", "sine"], "gamma-schedule"),
        (["--runs", "0"], "--runs"),
        (["--init", "a.st", "--init", "a.st"], "one for each of 1 runs"),
    ],
)
def test_impossible_options(landscape, options: list[str], words: str) -> None:
    if "--init" in options:
        assert landscape(*SHORT, "-o", "a.st").code == 0
        options = ["train", "--epochs", "1", *options]
    else:
        options = [*SHORT, *options]
    done = landscape(*options, "-o", "x.st")
    assert done.code == 2
    assert words in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert not Path("x.st").exists()


def test_a_run_that_diverges_is_named(landscape) -> None:
    done = landscape(*SHORT, "--lr", "1e30", "-o", "x.st")
    assert done.code == 2
    assert "training diverged (seed 0 in epoch 1: weights or loss are not finite)" in done.err
    assert len(done.err.splitlines()) == 1
    done = landscape(*SHORT, "--runs", "2", "--lr", "1e30", "-o", "x-{seed}.st")
    assert done.code == 2
    assert done.err.splitlines()[0].startswith("landscape: warning: seed 0 diverged in epoch 1 (loss nan): lower --lr")
    assert "seed 0 in epoch 1, 1 in epoch 1" in done.err
    assert not list(Path().glob("x*"))


def stopping_at(monkeypatch: pytest.MonkeyPatch, number: int, *moments: int) -> None:
    """Send this process a signal within these steps, counted from 1."""
    plain, count = Loop.update, 0

    def update(self: Loop, factor: float = 1.0) -> None:
        nonlocal count
        count += 1
        if count in moments:
            os.kill(os.getpid(), number)
        plain(self, factor)

    monkeypatch.setattr(Loop, "update", update)


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
    plain = Loop.update

    def update(self: Loop, factor: float = 1.0) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        plain(self, factor)

    monkeypatch.setattr(Loop, "update", update)
    assert landscape(*SHORT, "--checkpoint-every", "1", "-o", "x.st").code == 130
    assert [path.name for path in Path().iterdir()] == ["x.st.resume"]  # of the beginning


def test_without_checkpoints_a_signal_leaves_nothing(landscape, monkeypatch: pytest.MonkeyPatch) -> None:
    stopping_at(monkeypatch, signal.SIGTERM, 2)
    assert landscape(*SHORT, "-o", "x.st").code == 143
    assert not list(Path().iterdir())


@pytest.fixture
def interrupted(landscape, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A training that was interrupted; returns its command."""
    command = [*SHORT, "--checkpoint-every", "1", "-o", "x.st"]
    with monkeypatch.context() as patch:
        stopping_at(patch, signal.SIGINT, 5)
        assert landscape(*command).code == 130
    return command


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
        (edited(whole, lambda metadata: metadata.update(facts="{}")), "malformed"),
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


def test_a_finished_file_of_another_training_is_not_replaced(landscape, interrupted: list[str]) -> None:
    assert landscape(*SHORT, "--seed", "9", "-o", "other.st").code == 0
    Path("x.st").write_bytes(Path("other.st").read_bytes())
    done = landscape(*interrupted, "--resume")
    assert done.code == 2
    assert "of another training" in done.err
    assert Path("x.st").read_bytes() == Path("other.st").read_bytes()


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


def test_a_file_that_appears_meanwhile_is_not_replaced(landscape, monkeypatch: pytest.MonkeyPatch) -> None:
    command = [*SHORT, "--checkpoint-every", "2", "--resume", "-o", "x.st"]
    plain = Loop.update
    with monkeypatch.context() as patch:

        def update(self: Loop, factor: float = 1.0) -> None:
            Path("x.st").write_text("precious")
            plain(self, factor)

        patch.setattr(Loop, "update", update)
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


def test_a_refused_training_leaves_nothing(landscape) -> None:
    for options in (["--augment", "crop"], ["--algo", "rsgd", "--gamma-schedule", "linear", "--gamma-growth", "-1"]):
        done = landscape(*SHORT, *options, "-o", "x.st", "--log", "x.csv", "--checkpoint-every", "1")
        assert done.code == 2
        assert not list(Path().iterdir())
    assert "only {seed} is" in landscape(*SHORT, "-o", "x-{foo}.st").err


def test_force_begins_anew(landscape, interrupted: list[str]) -> None:
    assert landscape(*interrupted, "--force").code == 0
    assert not Path("x.st.resume").exists()


def test_killed_runs_come_to_the_same_end() -> None:
    assert sum(survive("rsgd", 2, 0, "--epochs", "75").values()) == 2
