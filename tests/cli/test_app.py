"""The command line as a user meets it: chains, results, reproducibility."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from landscape_cli.data.datasets import DataSpec, load_data
from landscape_cli.geometry.geodesic import geodesic
from landscape_cli.geometry.plane import span_plane
from landscape_cli.io.checkpoint import read_checkpoint
from landscape_cli.models import build_model
from landscape_cli.symmetry import trace_symmetry
from tests.support.reference import wrong

TRAIN = ["train", "--model", "mlp", "--hidden", "12,9", "--data", "hmm", "--hmm-latent", "11", "--hmm-dim", "21"]
TRAIN += ["--hmm-test", "50", "--epochs", "2", "--batch-size", "16", "--device", "cpu"]


@pytest.fixture
def trained(made) -> list[str]:
    """Two networks of one model and data."""
    for seed in (1, 2):
        made(*TRAIN, "--seed", seed, "-o", f"{seed}.st")
    return ["1.st", "2.st"]


@pytest.fixture
def aligned(made, trained: list[str]) -> list[str]:
    """The same, normalised and aligned."""
    made("normalize", *trained, "--out-dir", "n")
    made("align", "n/1.st", "n/2.st", "-o", "b.st")
    return ["n/1.st", "b.st"]


def rows_of(text: str) -> list[dict[str, str]]:
    lines = io.StringIO(text)
    assert json.loads(next(lines).removeprefix("# "))["command"].startswith("landscape ")
    return list(csv.DictReader(lines))


@pytest.mark.parametrize("algo", ["sgd", "rsgd", "adv"])
def test_train(landscape, algo: str) -> None:
    extra = ["--adv-epochs", "2", "--adv-until-error", "1"] if algo == "adv" else []
    done = landscape(*TRAIN, *extra, "--algo", algo, "-o", "x.st", "--log", "x.csv", "--seed", "3")
    assert done.code == 0
    report = json.loads(done.out)
    network = read_checkpoint("x.st")
    assert network.model.to_json() == {
        "name": "mlp",
        "arguments": {"hidden": [12, 9], "bias": True},
        "input_shape": [21],
        "outputs": 1,
    }
    assert network.data["train_samples"] == 33
    assert network.metrics["train_error"] == report["train_error"]
    assert network.history[0]["arguments"]["algo"] == algo
    assert network.history[0]["seed"] == 3
    assert "torch" in network.history[0]["versions"]
    with Path("x.csv").open() as file:
        log = list(csv.DictReader(file))
    assert [row["phase"] for row in log] == ["adversarial"] * (algo == "adv") + ["train"] * 2
    assert (log[-1]["gamma"] != "") == (algo == "rsgd")
    assert all(math.isfinite(float(row["loss"])) for row in log)


def test_chain(landscape, aligned: list[str]) -> None:
    network = read_checkpoint("b.st")
    assert [step["command"].split()[1] for step in network.history] == ["train", "normalize", "align"]
    assert network.normalized["output_factor"] > 0
    assert "train_loss" not in network.metrics
    assert network.history[-1]["inputs"]["n/1.st"] == read_checkpoint("n/1.st").sha256
    done = landscape("path", *aligned, "--kind", "geodesic", "--points", "5", "--loss")
    result = json.loads(done.out)
    assert [point["tau"] for point in result["points"]] == [0, 0.25, 0.5, 0.75, 1]
    assert result["barrier"]["train"]["max"] == max(point["train_error"] for point in result["points"])
    assert result["points"][0]["train_error"] == read_checkpoint("1.st").metrics["train_error"]
    assert result["points"][-1]["test_error"] == read_checkpoint("2.st").metrics["test_error"]
    assert result["barrier"]["loss"]["train"]["max"] == max(point["train_loss"] for point in result["points"])
    assert result["provenance"]["inputs"]["b.st"] == network.sha256


def test_distance(landscape, aligned: list[str]) -> None:
    done = landscape("distance", "n/1.st", "n/2.st", "b.st", "--format", "csv")
    rows = rows_of(done.out)
    assert [(row["a"], row["b"]) for row in rows] == [("n/1.st", "n/2.st"), ("n/1.st", "b.st"), ("n/2.st", "b.st")]
    assert float(rows[1]["geodesic"]) < float(rows[0]["geodesic"])
    assert float(rows[2]["train_disagreement"]) == 0
    assert float(rows[2]["geodesic"]) > 1
    assert rows[0]["test_disagreement"] == rows[1]["test_disagreement"]
    done = landscape("distance", "n/1.st", "n/2.st", "b.st", "--matrix", "geodesic", "--no-functions")
    matrix = json.loads(done.out)["matrix"]["rows"]
    assert matrix[0]["b.st"] == matrix[2]["n/1.st"] == pytest.approx(float(rows[1]["geodesic"]))
    raw = landscape("distance", "1.st", "2.st")
    assert json.loads(raw.out)["pairs"][0]["geodesic"] is None
    assert "not normalised" in raw.err


def test_plane(landscape, aligned: list[str]) -> None:
    done = landscape("plane", "n/1.st", "n/2.st", "b.st", "--grid", "4", "--margin", "0.1", "-o", "plane.json")
    assert done.out == ""
    result = json.loads(Path("plane.json").read_text())
    assert len(result["points"]) == 16
    assert {"x", "y", "train_error", "test_error"} == set(result["points"][0])
    corners = result["networks"]
    assert [corner["name"] for corner in corners] == ["a", "b", "c"]
    assert corners[1]["y"] == 0
    assert corners[1]["train_error"] == corners[2]["train_error"] == read_checkpoint("2.st").metrics["train_error"]
    line = landscape("plane", "n/1.st", "n/2.st", "n/1.st")
    assert (line.code, "span no plane" in line.err) == (2, True)


def test_numbers_equal_the_slow_loop(landscape, aligned: list[str]) -> None:
    """What path and plane print, computed again one network and one sample at a time."""
    a, b, c = (read_checkpoint(name) for name in ("n/1.st", "n/2.st", "b.st"))
    model = build_model(a.model, {name: tensor.clone() for name, tensor in a.params.items()})
    data = load_data(DataSpec.from_record(a.data), preprocessing=a.data)
    symmetry = trace_symmetry(model, torch.zeros(2, 21))
    points = json.loads(landscape("path", *aligned, "--kind", "geodesic", "--points", "4").out)["points"]
    for point in points:
        params = geodesic(a.params, c.params, point["tau"], symmetry)
        assert point["train_error"] == wrong(model, params, *data.train) / 33
        assert point["test_error"] == wrong(model, params, *data.test) / 50
    points = json.loads(landscape("plane", "n/1.st", "n/2.st", "b.st", "--grid", "3").out)["points"]
    plane = span_plane(a.params, b.params, c.params)
    for point in points:
        params = plane.network(point["x"], point["y"])
        assert point["train_error"] == wrong(model, params, *data.train) / 33
        assert point["test_error"] == wrong(model, params, *data.test) / 50
    assert len({point["test_error"] for point in points}) > 2


def test_flatness(landscape, aligned: list[str]) -> None:
    done = landscape("flatness", "1.st", "n/1.st", "--sigma", "0.5,1.0", "--samples", "3", "--test")
    result = json.loads(done.out)
    a, b = (network["local_energy"] for network in result["networks"])
    assert len(a[0]["train_draws"]) == len(a[1]["test_draws"]) == 3
    assert a[1]["train_energy"] == pytest.approx(sum(a[1]["train_draws"]) / 3)
    assert [level["train_energy"] for level in a] == pytest.approx([level["train_energy"] for level in b], abs=0.02)
    assert result["perturbed"] == ["fc1.weight", "fc2.weight", "fc3.weight"]
    all_of_it = json.loads(landscape("flatness", "1.st", "--samples", "1", "--all-parameters").out)
    assert len(all_of_it["perturbed"]) == 6


def test_same_command_same_bytes(landscape, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    contents: list[dict[str, bytes]] = []
    for run in ("first", "second"):
        (tmp_path / run).mkdir()
        monkeypatch.chdir(tmp_path / run)
        for seed in (1, 2):
            landscape(*TRAIN, "--algo", "rsgd", "--seed", seed, "-o", f"{seed}.st")
        landscape(*TRAIN, "--algo", "adv", "--adv-until-error", "1", "--seed", "1", "-o", "adv.st")
        landscape("normalize", "1.st", "2.st", "--out-dir", "n")
        landscape("align", "n/1.st", "n/2.st", "-o", "b.st", "--permutations", "p.json")
        landscape("path", "n/1.st", "b.st", "--kind", "geodesic", "-o", "path.json")
        landscape("flatness", "1.st", "--samples", "2", "-o", "flatness.csv")
        landscape("distance", "n/1.st", "b.st", "-o", "distance.json")
        landscape("plane", "1.st", "2.st", "b.st", "--grid", "3", "-o", "plane.csv", "--plot", "plane.png")
        contents.append({str(p): p.read_bytes() for p in Path().rglob("*.*")})
    assert len(contents[0]) == 12
    assert contents[0] == contents[1]
    landscape(*TRAIN, "--algo", "rsgd", "--seed", "1", "-o", "again.st")
    assert Path("again.st").read_bytes() == Path("1.st").read_bytes()


def test_init_continues(landscape, trained: list[str]) -> None:
    done = landscape("train", "--init", "1.st", "--epochs", "1", "-o", "c.st")
    assert done.code == 0
    network = read_checkpoint("c.st")
    assert network.model == read_checkpoint("1.st").model
    assert network.data == read_checkpoint("1.st").data
    assert [step["command"] for step in network.history] == ["landscape train"] * 2
    both = landscape("train", "--init", "1.st", "--algo", "rsgd", "--epochs", "1", "-o", "r.st")
    assert (both.code, "--gamma-init" in both.err) == (2, True)
    both = landscape(
        "train", "--init", "1.st", "--init", "2.st", "--algo", "rsgd", "--replicas", "2", "--epochs", "1", "-o", "r.st"
    )
    assert both.code == 0
    same = landscape("train", "--init", "1.st", "--hidden", "12,9", "--outputs", "1", "--epochs", "1", "-o", "s.st")
    assert same.code == 0, same.err
    clash = landscape("train", "--init", "1.st", "--hidden", "5", "-o", "d.st")
    assert (clash.code, "brings its model" in clash.err) == (2, True)


def test_own_data_and_lenet(landscape) -> None:
    source = torch.Generator().manual_seed(0)
    y = torch.arange(40) % 4
    x = torch.randint(0, 200, (40, 3, 16, 18), generator=source, dtype=torch.uint8)
    x[torch.arange(40), 0, :, y] = 255
    save_file({"x_train": x, "y_train": y, "x_test": x[:20] + 2, "y_test": y[:20] + 0}, "own.safetensors")
    options = ["--model", "lenet", "--filters", "3,4", "--hidden", "8", "--data", "own.safetensors"]
    for seed in (1, 2):
        done = landscape("train", *options, "--train-size", "20", "--epochs", "2", "--seed", seed, "-o", f"{seed}.st")
        assert done.code == 0
    assert landscape("align", "1.st", "2.st", "-o", "b.st").code == 0
    assert landscape("path", "1.st", "b.st", "--points", "3").code == 0
    save_file({"x_train": x + 1, "y_train": y, "x_test": x[:20] + 2, "y_test": y[:20] + 0}, "own.safetensors")
    changed = landscape("path", "1.st", "b.st", "--points", "3")
    assert (changed.code, "contents differ" in changed.err) == (2, True)
    assert landscape("path", "1.st", "b.st", "--points", "3", "--data", "own.safetensors").code == 0


def test_parity_is_followed(landscape) -> None:
    """What was trained on parity is measured on parity, on its own data and on other data; what was not, is not."""
    x, y = torch.randn(40, 9, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 4
    for name, labels in (("four", y), ("two", y % 2)):
        save_file({"x_train": x, "y_train": labels, "x_test": x[:20] + 1, "y_test": labels[:20] + 0}, f"{name}.st")
    options = ["train", "--hidden", "8", "--epochs", "3", "--data", "four.st"]
    assert landscape(*options, "--task", "parity", "--train-size", "38", "-o", "parity.safetensors").code == 0
    assert landscape(*options, "-o", "digits.safetensors").code == 0
    network = read_checkpoint("parity.safetensors")
    assert (network.model.outputs, network.data["task"], network.data["classes"]) == (1, "parity", 2)
    ends = ["parity.safetensors", "parity.safetensors", "--points", "2"]
    own, four, two = (landscape("path", *ends, *other) for other in ([], ["--data", "four.st"], ["--data", "two.st"]))
    assert (own.code, four.code, two.code) == (0, 0, 0)
    error = json.loads(own.out)["points"][0]["train_error"]
    assert error == pytest.approx(network.metrics["train_error"])
    assert json.loads(four.out)["points"] == json.loads(two.out)["points"]
    assert "four.st (parity)" in four.err
    assert read_checkpoint("digits.safetensors").model.outputs == 4
    save_file(dict(network.params), "foreign.safetensors")
    foreign = ["foreign.safetensors"] * 2 + [
        "--model",
        "mlp?hidden=[8]&outputs=1",
        "--input-shape",
        "9",
        "--points",
        "2",
    ]
    refused = landscape("path", *foreign, "--data", "four.st")
    assert (refused.code, "--task" in refused.err) == (2, True)
    assert landscape("path", *foreign, "--data", "four.st", "--task", "parity").code == 0
    alone = landscape("path", *ends, "--task", "parity")
    assert (alone.code, "--task goes with --data" in alone.err) == (2, True)
    wrong = landscape("path", *ends, "--data", "hmm")
    assert (wrong.code, "parity.safetensors was trained on the parity" in wrong.err) == (2, True)
    other = landscape("path", "parity.safetensors", "digits.safetensors")
    assert (other.code, "only networks of one model" in other.err) == (2, True)
    again = landscape("train", "--init", "parity.safetensors", "--epochs", "1", "-o", "more.st")
    assert (again.code, read_checkpoint("more.st").data["task"]) == (0, "parity")


def test_a_matrix_is_headed_by_the_names_of_files(landscape, trained: list[str]) -> None:
    assert landscape("align", "1.st", "2.st", "-o", "2_aligned.st").code == 0
    done = landscape("distance", "1.st", "2_aligned.st", "--matrix", "cosine", "--no-functions", "--format", "table")
    assert (done.code, "2_aligned.st" in done.out.splitlines()[1]) == (0, True)


def test_table_and_quiet(landscape, trained: list[str]) -> None:
    done = landscape("path", *trained, "--points", "3", "--format", "table", "--quiet")
    assert done.err == ""
    assert "train error" in done.out
    assert done.out.count("\n") >= 7


@pytest.mark.parametrize("command", ["path", "plane", "flatness"])
def test_plots(landscape, trained: list[str], command: str) -> None:
    pytest.importorskip("matplotlib")
    landscape("align", "1.st", "2.st", "-o", "b.st")
    networks = ["1.st", "2.st", "b.st"][: 2 if command == "path" else 3]
    small = {"path": ["--points", "3"], "plane": ["--grid", "3"], "flatness": ["--samples", "1"]}[command]
    for suffix in ("png", "pdf", "svg"):
        assert landscape(command, *networks, *small, "--plot", f"p.{suffix}").code == 0
        assert Path(f"p.{suffix}").stat().st_size > 1000
    again = landscape(command, *networks, *small, "--plot", "p.png")
    assert (again.code, "exists already" in again.err) == (2, True)
