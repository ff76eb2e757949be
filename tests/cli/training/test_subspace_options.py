"""`landscape train --subspace-dim`, --init-scale and --dropout: what is written, recorded and refused."""

from __future__ import annotations

import csv
import io
import json
import signal
from pathlib import Path

import pytest
import torch

from landscape_cli.data.datasets import DataSpec, load_data
from landscape_cli.data.hidden_manifold import HiddenManifold
from landscape_cli.io.checkpoint import read_checkpoint
from landscape_cli.network import ModelSpec
from landscape_cli.samplers import SGD, Recipe, Subspace, train
from landscape_cli.samplers.streams import initial_params
from tests.support.train_command import SHORT, TRAIN, stopping_at
from tests.support.training import equal

FIELDS = ["dim", "of", "fraction", "basis", "seed", "moved", "moved_relative"]
INSIDE = [*SHORT, "--subspace-dim", "20"]
WEIGHTS = 21 * 12 + 12 + 12 * 9 + 9 + 9 + 1


def test_what_comes_out(landscape) -> None:
    done = landscape(*INSIDE, "--seed", "4", "-o", "x.st")
    assert done.code == 0
    assert "--subspace-dim is not invariant under scales" in done.err
    report = json.loads(done.out)
    assert list(report["subspace"]) == FIELDS
    assert {key: report["subspace"][key] for key in ("dim", "of", "basis", "seed")} == {
        "dim": 20,
        "of": WEIGHTS,
        "basis": "disjoint",
        "seed": 4,
    }
    network = read_checkpoint("x.st")
    assert network.history[-1]["subspace"] == report["subspace"]
    assert "subspace" not in network.metrics
    arguments = report["provenance"]["arguments"]
    assert (arguments["subspace_dim"], arguments["optimizer"]) == (20, "adam")
    assert not {"subspace_seed", "subspace_basis", "init_scale", "dropout"} & set(arguments)


def test_runs_are_the_networks_trained_alone(landscape) -> None:
    for more in (["--subspace-seed", "0"], ["--subspace-basis", "gaussian", "--init-scale", "2"]):
        done = landscape(*INSIDE, *more, "--runs", "3", "-o", "many-{seed}.st", "--format", "csv", "--force")
        assert done.code == 0
        rows = list(csv.DictReader(io.StringIO(done.out.partition("\n")[2])))
        assert [row["subspace_seed"] for row in rows] == (["0"] * 3 if "0" in more else ["0", "1", "2"])
        assert {f"subspace_{field}" for field in FIELDS} <= set(rows[0])
        for seed in (0, 1, 2):
            assert landscape(*INSIDE, *more, "--seed", seed, "-o", "x.st", "--force").code == 0
            assert Path("x.st").read_bytes() == Path(f"many-{seed}.st").read_bytes()
    assert read_checkpoint("x.st").history[-1]["arguments"]["init_scale"] == 2.0


def test_networks_on_the_way_say_how_far_they_had_come(landscape) -> None:
    done = landscape(*INSIDE, "--keep-epochs", "0,2", "-o", "x.st")
    report = json.loads(done.out)
    moved = [network["subspace"]["moved"] for network in (*report["kept"], report)]
    assert moved[0] == 0 < moved[1]
    assert len(set(moved)) == 3
    for name, distance in zip(("x-epoch0", "x-epoch2", "x"), moved, strict=True):
        assert read_checkpoint(f"{name}.st").history[-1]["subspace"]["moved"] == distance
    again = landscape(*INSIDE, "--keep-epochs", "0,2", "-o", "x.st", "--resume")
    assert json.loads(again.out)["kept"] == report["kept"]
    table = landscape(*INSIDE, "--keep-epochs", "0,2", "-o", "z.st", "--format", "csv").out.partition("\n")[2]
    rows = list(csv.DictReader(io.StringIO(table)))
    assert sorted(float(row["subspace_moved"]) for row in rows) == sorted(moved)


def test_a_seed_of_zero_is_recorded(landscape) -> None:
    landscape(*INSIDE, "--subspace-seed", "0", "--seed", "3", "-o", "x.st")
    step = read_checkpoint("x.st").history[-1]
    assert step["arguments"]["subspace_seed"] == step["subspace"]["seed"] == 0


@pytest.mark.parametrize("more", [[], ["--subspace-basis", "gaussian", "--optimizer", "sgd"]])
def test_stopped_and_resumed(landscape, monkeypatch: pytest.MonkeyPatch, more: list[str]) -> None:
    base = [*INSIDE, *more, "--runs", "2"]
    assert landscape(*base, "-o", "whole-{seed}.st", "--log", "whole.csv").code == 0
    keeping = ["--checkpoint-every", "1", "-o", "x-{seed}.st", "--log", "x.csv", "--resume"]
    for moment in (1, 7):
        with monkeypatch.context() as patch:
            stopping_at(patch, signal.SIGTERM, moment)
            assert landscape(*base, *keeping).code == 143
    refused = landscape(*base, *keeping, "--subspace-seed", "5")
    assert refused.code == 2
    assert "of a training with other settings (subspace_seed was not given, and is 5)" in refused.err
    last = landscape(*base, *keeping)
    assert last.code == 0
    for seed in (0, 1):
        assert Path(f"x-{seed}.st").read_bytes() == Path(f"whole-{seed}.st").read_bytes()
    assert Path("x.csv").read_bytes() == Path("whole.csv").read_bytes()
    again = landscape(*base, *keeping)
    assert "finished already" in again.err
    assert [row["subspace"] for row in json.loads(again.out)["networks"]] == [
        row["subspace"] for row in json.loads(last.out)["networks"]
    ]


@pytest.mark.filterwarnings("ignore:`subspace=` is not invariant")
def test_python_trains_as_the_command_line_does(landscape) -> None:
    data = load_data(DataSpec("hmm", hmm=HiddenManifold(11, 21, 33, 50)))
    spec = ModelSpec("mlp", {"hidden": [12, 9], "bias": True, "dropout": 0.3}, (21,), 1)
    for name, given in (("adam", {}), ("sgd", {"optimizer": "sgd"})):
        recipe = Recipe(3, batch_size=8, **given)
        subspace = Subspace(20, 8, "gaussian")
        [solution] = train(spec, data, SGD(), recipe=recipe, seeds=[2], subspace=subspace, init_scale=0.5)
        options = ["--subspace-seed", "8", "--subspace-basis", "gaussian", "--init-scale", "0.5", "--dropout", "0.3"]
        options += ["--optimizer", "sgd"] if given else []
        assert landscape(*INSIDE, *options, "--seed", "2", "-o", f"{name}.st").code == 0
        network = read_checkpoint(f"{name}.st")
        assert solution.params is not None
        assert equal(solution.params, network.params)
        assert network.model == spec
        assert network.history[-1]["subspace"] == solution.to_dict()["subspace"]


def test_init_scale_goes_with_every_sampler_and_with_init(landscape) -> None:
    assert landscape(*SHORT, "-o", "a.st").code == 0
    plain, rate = read_checkpoint("a.st").params, ["--lr", "1e-30", "--epochs", "1", "--batch-size", "8"]
    still = {
        "rsgd": ["--gamma-init", "0"],
        "swa": ["--swa-lr", "1e-30"],
        "adv": ["--adv-epochs", "1", "--adv-lr", "1e-30", "--adv-until-error", "1"],
    }
    for k, algo in enumerate(("sgd", "rsgd", "swa", "adv")):
        command = ["train", "--init", "a.st", "--init-scale", "3", "--algo", algo, *rate, *still.get(algo, [])]
        done = landscape(*command, "--device", "cpu", "-o", f"{k}.st")
        assert done.code == 0, done.err
        found = read_checkpoint(f"{k}.st")
        assert all(torch.allclose(found.params[name], 3 * tensor) for name, tensor in plain.items()), algo
        assert found.history[-1]["arguments"]["init_scale"] == 3.0
    lost = landscape(*SHORT, "--runs", "2", "--init-scale", "1e25", "-o", "lost-{seed}.st")
    assert "seed 1 diverged in epoch 1 (loss nan): lower --init-scale, or --lr, now " in lost.err
    scaled = landscape(*TRAIN, "--init-scale", "2", *rate, "--seed", "5", "-o", "b.st")
    assert scaled.code == 0
    new = initial_params(read_checkpoint("b.st").model, 5)
    assert all(torch.allclose(tensor, 2 * new[name]) for name, tensor in read_checkpoint("b.st").params.items())


def test_scales_that_are_too_large(landscape) -> None:
    for scale, words in (
        ("1e300", "--init-scale 1e+300 makes weights that float32 cannot hold: lower it"),
        ("1e30", "so no network was written for it: lower --init-scale, or --lr"),
    ):
        landscape(*SHORT, "--init-scale", scale, "-o", "x.st").check_refused(words, scale)
    late = landscape(*SHORT, "--lr", "1e30", "-o", "x.st")
    assert late.err.endswith("so no network was written for it: lower --lr\n")


def test_dropout_is_a_size_of_the_model(landscape) -> None:
    assert landscape(*SHORT, "-o", "plain.st").code == 0
    assert landscape(*SHORT, "--dropout", "0", "-o", "none.st").code == 0
    assert Path("plain.st").read_bytes() == Path("none.st").read_bytes()
    assert "dropout" not in read_checkpoint("plain.st").model.arguments
    assert landscape(*SHORT, "--dropout", "0.4", "-o", "a.st").code == 0
    model = [*SHORT, "--model", "mlp?dropout=0.4"]
    assert landscape(*model, "-o", "b.st").code == 0
    a, b = read_checkpoint("a.st"), read_checkpoint("b.st")
    assert a.model == b.model
    assert a.model.arguments["dropout"] == 0.4
    assert equal(a.params, b.params)
    assert not equal(a.params, read_checkpoint("plain.st").params)
    assert a.history[-1]["arguments"]["dropout"] == 0.4
    assert landscape("distance", "a.st", "plain.st").code == 0
    assert landscape("normalize", "a.st", "-o", "n.st").code == 0
    assert read_checkpoint("n.st").model == a.model
    assert landscape("align", "a.st", "plain.st", "-o", "aligned.st").code == 0
    assert landscape("path", "a.st", "aligned.st", "--points", "3").code == 0
    assert landscape(*SHORT, "--hidden", "13,9", "--dropout", "0.4", "-o", "wider.st").code == 0
    assert "only networks of one model" in landscape("distance", "a.st", "wider.st").err
    twice = landscape(*model, "--dropout", "0.1", "-o", "c.st")
    assert "--model gives dropout already" in twice.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--subspace-dim", "5", "--algo", "rsgd"], "--subspace-dim goes with --algo sgd"),
        (["--subspace-seed", "5"], "--subspace-seed goes with --subspace-dim"),
        (["--subspace-basis", "disjoint"], "--subspace-basis goes with --subspace-dim"),
        (["--subspace-dim", "5", "--momentum", "0.5"], "--momentum is for --optimizer sgd"),
        (["--subspace-dim", str(WEIGHTS + 1)], f"--subspace-dim {WEIGHTS + 1} is too large: the model has {WEIGHTS}"),
        (["--subspace-dim", "0"], "--subspace-dim"),
        (["--subspace-dim", "x"], "--subspace-dim"),
        (["--subspace-dim", "2.5"], "--subspace-dim"),
        (["--subspace-dim", "5", "--subspace-seed", "-1"], "--subspace-seed"),
        (["--subspace-dim", "5", "--subspace-basis", "dense"], "--subspace-basis"),
        (["--init-scale", "0"], "--init-scale must be a positive number, and is 0"),
        (["--init-scale", "-1"], "--init-scale must be a positive number"),
        (["--init-scale", "nan"], "--init-scale must be a positive number"),
        (["--init-scale", "inf"], "--init-scale must be a positive number"),
        *(
            (["--dropout", value], f"--dropout must be at least 0 and below 1, and is {value}")
            for value in ("1.0", "-0.1", "nan", "inf")
        ),
        (["--momentum", "2"], "--momentum must be at least 0 and below 1, and is 2.0"),
        (["--lr", "nan"], "--lr must be a positive number, and is nan"),
        (["--dropout", "x"], "--dropout"),
    ],
)
def test_nonsense_is_refused_in_one_line(landscape, options: list[str], words: str) -> None:
    done = landscape(*SHORT, *options, "-o", "x.st")
    assert done.code == 2
    assert words in done.err
    assert len(done.err.splitlines()) == 1
    assert not list(Path().iterdir())


def test_models_that_have_neither(landscape) -> None:
    tiny = ["train", "--hmm-test", "50", "--epochs", "1", "--device", "cpu", "-o", "x.st"]
    binary = landscape(*tiny, "--model", "binary-mlp", "--hidden", "9", "--subspace-dim", "5")
    assert (binary.code, "--subspace-dim is not for binary networks" in binary.err) == (2, True)
    binary = landscape(*tiny, "--model", "binary-mlp", "--hidden", "9", "--dropout", "0.5")
    assert "--dropout is for --model mlp or lenet, not binary-mlp" in binary.err
    large = landscape(*tiny, "--hidden", "1024,1024", "--subspace-dim", "4096", "--subspace-basis", "gaussian")
    assert "weights needs 22.3 GiB: say --subspace-basis disjoint" in large.err
    assert large.code == 2
