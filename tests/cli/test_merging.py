"""Back to the owner's code: files of others, normalised, aligned and merged, give the owner what was measured."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from landscape_cli import average, read_checkpoint, recompute_statistics
from landscape_cli.user_code import callables
from tests.cli.commands.test_path_binary import LEARN, binary, distance, signs  # noqa: F401 - a fixture
from tests.cli.test_app import TRAIN, trained  # noqa: F401 - a fixture

NET = """
from torch import nn

class Net(nn.Module):
    def __init__(self, width=6):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(1, width, 3), nn.BatchNorm2d(width), nn.ReLU())
        self.again = nn.Conv2d(width, width, 1)
        self.tied = self.again
        self.last = nn.Linear(width, 4)

    def forward(self, x):
        return self.last(self.tied(self.again(self.first(x)).relu()).relu().mean((2, 3)))
"""
HOW = ["--model", "owned:Net", "--input-shape", "1,5,5"]
ON = ["--data", "d.safetensors"]


class Wrapped(nn.Module):
    """How its owner trains it, compiled and in parallel: names with prefixes."""

    def __init__(self) -> None:
        import owned  # type: ignore[import-not-found]

        super().__init__()
        self.module = nn.Module()
        self.module._orig_mod = owned.Net()

    def forward(self, x: Tensor) -> Tensor:
        return self.module._orig_mod(x)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Two trained networks in an owner's files, and data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [os.getcwd(), *sys.path])
    monkeypatch.setattr(callables, "_allowed", {}, raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    Path("owned.py").write_text(NET)
    source = torch.Generator().manual_seed(0)
    x, y = torch.randn(90, 1, 5, 5, generator=source), torch.arange(90) % 4
    x[range(90), 0, y, y] += 3
    save_file({"x_train": x[:60], "y_train": y[:60], "x_test": x[60:], "y_test": y[60:]}, "d.safetensors")
    for seed in (1, 2, 3):
        torch.manual_seed(seed)
        model = Wrapped()
        optimizer = torch.optim.Adam(model.parameters(), 0.02)
        for _ in range(25):
            loss = nn.functional.cross_entropy(model(seen("x_train")), y[:60])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        torch.save({"epoch": 3, "state_dict": model.state_dict()}, f"{seed}.pth")
    yield ["1.pth", "2.pth", "3.pth"]
    sys.modules.pop("owned", None)


def seen(name: str) -> Tensor:
    """Inputs standardised by the training set, as the commands say that they do."""
    data = load_file("d.safetensors")
    train = data["x_train"].double()
    mean, deviation = train.mean(), train.std(correction=0)
    return ((data[name] - mean.float()) / deviation.float()).float()


def owners(path: str) -> nn.Module:
    """The owner's network with a file's weights, loaded strictly."""
    model = Wrapped()
    state = load_file(path) if path.endswith(".safetensors") else torch.load(path, weights_only=True)
    model.load_state_dict(state, strict=True)
    assert model.module._orig_mod.tied is model.module._orig_mod.again
    return model.eval()


def measured(path: str) -> dict[str, float]:
    """Errors and losses of a file by a plain loop of the owner's."""
    model, result = owners(path), {}
    for split in ("train", "test"):
        y = load_file("d.safetensors")[f"y_{split}"]
        with torch.no_grad():
            logits = model(seen(f"x_{split}"))
        result[f"{split}_error"] = float((logits.argmax(1) != y).double().mean())
        result[f"{split}_loss"] = float(nn.functional.cross_entropy(logits.double(), y))
    return result


def check(row: dict[str, Any], path: str) -> None:
    expected = measured(path)
    assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-5)
    assert row["test_error"] == expected["test_error"]


def run(landscape: Any, *arguments: str) -> Any:
    done = landscape(*arguments, "--device", "cpu")
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_round_trip(landscape, files: list[str]) -> None:
    """Normalised, aligned and exported, it computes in the owner's code what it did; merged, what was measured."""
    run(landscape, "normalize", *files[:2], *HOW, "--out-dir", "n", "--keep-last-layer", "--export", "n/{name}.pt")
    run(landscape, "align", "n/1.st", "n/2.st", *HOW[:2], "-o", "a.pth", "--export", "a.safetensors")
    inputs = seen("x_test")
    for given, made in (("1.pth", "n/1.pt"), ("2.pth", "n/2.pt"), ("2.pth", "a.pth"), ("2.pth", "a.safetensors")):
        before = Wrapped()
        before.load_state_dict(torch.load(given, weights_only=True)["state_dict"])
        with torch.no_grad():
            assert torch.allclose(owners(made)(inputs), before.eval()(inputs), atol=1e-5)
        assert owners(made).state_dict()["module._orig_mod.first.1.num_batches_tracked"] == 25
    assert not torch.equal(owners("a.pth").state_dict()["module._orig_mod.last.weight"],
                           owners("n/2.pt").state_dict()["module._orig_mod.last.weight"])  # fmt: skip
    both = ["n/1.st", "n/2.st", *HOW[:2], *ON, "--align", "weight", "--kind", "geodesic", "--points", "5", "--loss"]
    for bn in ("keep", "recompute"):
        out = ["--network-out", f"{bn}-{{tau}}.pt", "--bn", bn]
        found = run(landscape, "path", *both, "--network-at", "0,0.25,0.4,1", *out)
        assert [row["path"] for row in found["networks"]] == [f"{bn}-{tau}.pt" for tau in ("0", "0.25", "0.4", "1")]
        for row in found["networks"]:
            check(row, row["path"])
        for k, row in ((0, 0), (1, 1), (4, 3)):
            names = ("tau", "train_error", "test_error", "train_loss", "test_loss")
            assert [found["points"][k][name] for name in names] == [found["networks"][row][name] for name in names]
    assert measured("keep-0.4.pt")["train_loss"] != measured("recompute-0.4.pt")["train_loss"]
    for kind in ("geodesic", "linear"):
        run(landscape, "path", *both, "--kind", kind, "--network-at", "0.4", "--network-out", f"{kind}.st")
    claimed = read_checkpoint("geodesic.st").normalized
    assert claimed == {"keep_last_layer": True, "output_factor": 1.0, "degenerate": {}}
    assert read_checkpoint("linear.st").normalized is None
    run(landscape, "path", "n/1.st", "geodesic.st", *HOW[:2], *ON, "--kind", "geodesic", "--points", "2")


def test_a_merged_checkpoint_says_what_it_is(landscape, files: list[str]) -> None:
    out = ["--network-at", "0.5", "--network-out", "m.st", "--export", "m.pt"]
    found = run(landscape, "path", *files[:2], *HOW, *ON, "--points", "3", *out)
    [row] = found["networks"]
    assert (row["path"], row["export"], row["tau"]) == ("m.st", "m.pt", 0.5)
    check(row, "m.pt")
    network = read_checkpoint("m.st")
    assert network.metrics == {name: row[name] for name in network.metrics}
    assert (network.history[-1]["arguments"]["network_at"], network.normalized) == (0.5, None)
    content = Path("m.pt").read_bytes()
    run(landscape, "path", *files[:2], *HOW, *ON, "--points", "3", *out, "--force")
    assert Path("m.pt").read_bytes() == content
    plain = run(landscape, "path", *files[:2], *HOW, *ON, "--points", "3")
    assert "networks" not in plain
    assert "network_at" not in plain["provenance"]["arguments"]
    assert plain["points"] == found["points"]


def test_a_vertex_is_written_as_its_networks_were(landscape, files: list[str]) -> None:
    connect = ["--kind", "connector", "--epochs", "1", "--points", "2", "--connector-out", "v-{vertex}.pt"]
    found = run(landscape, "path", *files[:2], *HOW, *ON, *connect)
    [vertex] = [vertex for vertex in found["vertices"] if vertex["name"] == "ab"]
    assert measured("v-ab.pt")["test_error"] == vertex["test_error"]


def test_the_mean_of_all(landscape, files: list[str]) -> None:
    out = ["--out-dir", "al", "--orders", "1", "--average-out"]
    found = run(landscape, "align", *files, *HOW, *out, "al/m.pt", "--method", "cycle")
    assert found["average"] == {"path": "al/m.pt"}
    assert found["settled"]
    assert found["rounds"] == len(found["objective"]) - 1
    aligned = [read_checkpoint(f"al/{k}_aligned.st").params for k in (2, 3)]
    reference = {k.removeprefix("module._orig_mod."): t for k, t in Wrapped().state_dict().items()}
    given = torch.load(files[0], weights_only=True)["state_dict"]
    reference = {name: given[f"module._orig_mod.{name}"] for name in reference}
    expected = average([reference, *aligned])
    kept = owners("al/m.pt").module._orig_mod.state_dict()
    assert all(torch.equal(kept[name], tensor) for name, tensor in expected.items())
    mean = torch.stack([network["last.weight"].double() for network in (reference, *aligned)]).mean(0)
    assert torch.allclose(kept["last.weight"].double(), mean, atol=1e-7)
    again = [*out, "r.pt", "--method", "cycle", "--force", "--bn", "recompute", *ON]
    found = run(landscape, "align", *files, *HOW, *again)
    check(found["average"], "r.pt")
    import owned

    renewed = owners("r.pt").module._orig_mod.state_dict()
    slow = recompute_statistics(owned.Net(), expected, seen("x_train"))
    assert torch.allclose(renewed["first.1.running_var"], slow["first.1.running_var"])
    assert not torch.allclose(renewed["first.1.running_var"], kept["first.1.running_var"])
    assert found["provenance"]["arguments"]["bn"] == "recompute"
    assert "bn" not in read_checkpoint("al/2_aligned.st").history[-1]["arguments"]


def test_bends(landscape, trained: list[str]) -> None:  # noqa: F811
    bend = ["--optimize-midpoint", "--epochs", "1", "--points", "5", "--midpoint-out", "mid.st"]
    found = run(landscape, "path", *trained, *bend, "--network-at", "0.125,0.5,0.75", "--network-out", "m-{tau}.st")
    points = {point["tau"]: point for point in found["points"]}
    for row in found["networks"]:
        assert points[row["tau"]]["train_error"] == row["train_error"]
    middle, exact = read_checkpoint("m-0.5.st"), read_checkpoint("mid.st")
    assert all(torch.equal(middle.params[name], exact.params[name]) for name in exact.params)
    quarter, end = read_checkpoint("m-0.75.st").params, read_checkpoint("2.st").params
    aligned = run(landscape, "align", "1.st", "2.st", "-o", "b.st") and read_checkpoint("b.st").params
    assert end.keys() == aligned.keys()
    half = {name: (exact.params[name].double() + end[name].double()) / 2 for name in end}
    assert all(torch.allclose(quarter[name].double(), half[name], atol=1e-7) for name in half)


@pytest.mark.usefixtures("binary")
def test_shortest_paths(landscape) -> None:
    whole = distance("1.st", "2.st")
    out = ["--network-at", "0,0.3,1", "--network-out", "m-{tau}.st"]
    found = run(landscape, "path", "1.st", "2.st", "--points", "11", "--orders", "1", *out)
    assert [row["train_error"] for row in found["networks"]] == [found["points"][k]["train_error"] for k in (0, 3, 10)]
    assert distance("1.st", "m-0.3.st") == found["points"][3]["flips"]
    assert distance("1.st", "m-0.3.st") + distance("m-0.3.st", "2.st") == whole
    assert signs(read_checkpoint("m-1.st").params) == signs(read_checkpoint("2.st").params)
    landscape("align", "1.st", "2.st", "--average-out", "mean.st").check_refused("signs have no mean", "mean")
    landscape("align", "1.st", "2.st", "-o", "mean.st", "--method", "cycle").check_refused(
        "no mean to align to", "cycle"
    )
    assert not Path("mean.st").exists()


def test_pairs_have_networks_each(landscape, trained: list[str]) -> None:  # noqa: F811
    assert landscape(*TRAIN, "--seed", "3", "-o", "3.st").code == 0
    out = ["--network-at", "0.5", "--network-out", "{start}-{end}.pt"]
    found = run(landscape, "path", "[123].st", "[123].st", "--pairs", "all", "--points", "2", *out)
    assert [pair["networks"][0]["path"] for pair in found["pairs"]] == ["1-2.pt", "1-3.pt", "2-3.pt"]
    assert all(Path(name).exists() for name in ("1-2.pt", "1-3.pt", "2-3.pt"))


AT = ["path", "1.st", "2.st", "--points", "2", "--network-at"]
OUT = ["--network-out", "m.st"]
MEAN = ["align", "1.st", "2.st", "--average-out"]
REFUSED: dict[str, tuple[list[str], str]] = {
    "nowhere": ([*AT, "0.5"], "--network-out"),
    "no τ": (["path", "1.st", "2.st", *OUT], "--network-at"),
    "export of no τ": (["path", "1.st", "2.st", "--export", "m.pt"], "--network-at"),
    "outside": ([*AT, "1.5", *OUT], "from 0 to 1, not 1.5"),
    "no number": ([*AT, "half", *OUT], "numbers separated by commas"),
    "nan": ([*AT, "nan", *OUT], "--network-at"),
    "nothing": ([*AT, "", *OUT], "--network-at"),
    "one name": ([*AT, "0,1", *OUT], "several networks would be written to m.st"),
    "twice": ([*AT, "0.5,0.50", "--network-out", "m-{tau}.st"], "several networks"),
    "field": ([*AT, "0.5", "--network-out", "{seed}.st"], "a field that is not known"),
    "suffix": ([*AT, "0.5", "--network-out", "m.onnx"], "must end in"),
    "export suffix": ([*AT, "0.5", "--export", "m.st"], "must end in .pt"),
    "input": ([*AT, "0.5", "--network-out", "1.st", "--force"], "one of the networks themselves"),
    "result": ([*AT, "0.5", "--export", "r.pt", "--network-out", "r.pt"], "two outputs are the same file"),
    "taken": ([*AT, "0.5", "--network-out", "taken.pt"], "--force"),
    "folder": ([*AT, "0.5", "--network-out", "no/m.pt"], "create it first"),
    "connector": (["path", "1.st", "2.st", "--kind", "connector", "--network-at", "0"], "does not go with"),
    "pairs of cycle": (["path", "1.st", "2.st", "--align", "cycle"], "matches a set of networks"),
    "bn of nothing": (["align", "1.st", "2.st", "-o", "a.st", "--bn", "recompute"], "--average-out"),
    "data of nothing": ([*MEAN, "m.pt", "--data", "hmm"], "--data is for --method activation"),
    "mean is an input": ([*MEAN, "2.st", "--force"], "one of the networks themselves"),
    "mean is an output": ([*MEAN, "a.st", "-o", "a.st"], "two outputs are the same file"),
    "mean suffix": ([*MEAN, "m.txt"], "must end in"),
    "export alone": (["align", "1.st", "2.st", "--export", "a.pt"], "-o"),
    "export of several": (
        ["normalize", "1.st", "2.st", "--out-dir", "n", "--export", "e.pt"],
        "tell them apart by {name} in --export",
    ),
    "export is the output": (["normalize", "1.st", "-o", "e.pt", "--export", "e.pt"], "two outputs are the same file"),
}


def test_refused(landscape, trained: list[str]) -> None:  # noqa: F811
    Path("taken.pt").write_bytes(b"x")
    before = sorted(path.name for path in Path().iterdir())
    for case, (arguments, words) in REFUSED.items():
        landscape(*arguments).check_refused(words, case)
    assert sorted(path.name for path in Path().iterdir()) == before
