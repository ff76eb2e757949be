"""`landscape train`: its samplers and runs, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from landscape_cli.io.checkpoint import read_checkpoint
from tests.support.train_command import SHORT, TRAIN, log_of


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
        (["--algo", "esgd", "--gamma-init", "soon"], "takes a number or auto"),
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


def test_what_init_brings_is_said_and_dropout_may_be_another(landscape) -> None:
    assert landscape(*SHORT, "--hidden", "4,3", "-o", "a.st").code == 0
    start = ["train", "--epochs", "1", "--init", "a.st", "-o", "x.st"]
    for option, said in (("--hidden=4,4", "(mlp, hidden 4,3)"), ("--norm=batch", "(mlp), which has none")):
        done = landscape(*start, option)
        assert done.code == 2
        assert f"brings its model along {said}: leave out {option.partition('=')[0]}" in done.err
    assert landscape(*start, "--dropout", "0.5", "--hidden", "4,3").code == 0
    trained = read_checkpoint("x.st")
    assert trained.model.arguments == {**read_checkpoint("a.st").model.arguments, "dropout": 0.5}
    assert landscape("path", "a.st", "x.st", "--points", "2").code == 0  # measured without, both are one model


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


def test_a_refused_training_leaves_nothing(landscape) -> None:
    for options in (["--augment", "crop"], ["--algo", "rsgd", "--gamma-schedule", "linear", "--gamma-growth", "-1"]):
        done = landscape(*SHORT, *options, "-o", "x.st", "--log", "x.csv", "--checkpoint-every", "1")
        assert done.code == 2
        assert not list(Path().iterdir())
    assert "only {seed} is" in landscape(*SHORT, "-o", "x-{foo}.st").err
