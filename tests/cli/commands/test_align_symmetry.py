"""Symmetries on the command line: explained, refused by --strict, proved; batch-norm networks from end to end."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import landscape_cli.symmetry
from landscape_cli.io.checkpoint import read_checkpoint
from landscape_cli.models import factories
from landscape_cli.symmetry import Symmetry, trace_symmetry
from tests.cli.test_app import trained  # noqa: F401 - a fixture

NETS = """
import torch
from torch import nn

class Plain(nn.Sequential):
    def __init__(self, act=nn.ReLU):
        super().__init__(nn.Flatten(), nn.Linear(27, 6), act(), nn.Linear(6, 5), act(), nn.Linear(5, 4))

def odd():
    return Plain(nn.Tanh)

class Residual(nn.Module):
    def __init__(self, width=6):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, width, 3, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, width, 1, bias=False), nn.BatchNorm2d(width)
        self.fc = nn.Linear(width, 4)

    def forward(self, x):
        x = self.bn1(self.conv1(x)).relu()
        x = (x + self.bn3(self.conv3(self.bn2(self.conv2(x)).relu()))).relu()
        return self.fc(x.mean((2, 3)))

def raises():
    raise RuntimeError("no\\nway")

class Dict(Plain):
    def forward(self, x):
        return {"logits": 3.0}

class Branch(Plain):
    def forward(self, x):
        hidden = self[4](self[3](self[2](self[1](self[0](x)))))
        return self[5](hidden) if x.sum() > 0 else self[5](hidden * torch.arange(5))

class SameEitherWay(Plain):
    def forward(self, x):
        return super().forward(x) if x.sum() > 0 else super().forward(2 * x)

class InPlace(Plain):
    def forward(self, x):
        with torch.no_grad():
            self[1].weight.mul_(0.9)
        return super().forward(x)

class Fails(Plain):
    def forward(self, x):
        raise ValueError("the moon\\nis full")

class Complex(Plain):
    def __init__(self):
        super().__init__()
        self.odd = nn.Parameter(torch.zeros(3, dtype=torch.complex64))

class Integer(Plain):
    def __init__(self):
        super().__init__()
        self.odd = nn.Parameter(torch.zeros(3, dtype=torch.int64), requires_grad=False)

class Unused(Plain):
    def __init__(self):
        super().__init__()
        self.spare = nn.Parameter(torch.zeros(3, 2))

class NoRule(Plain):
    def forward(self, x):
        x = self[2](self[1](self[0](x))).renorm(2, 0, 1.0)
        return self[5](self[4](self[3](x)))

class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.h, self.o = nn.Linear(27, 6), nn.Linear(6, 6), nn.Linear(6, 4)

    def forward(self, x):
        return self.o(self.h(self.h(self.a(x.flatten(1)).relu()).relu()).relu())
"""
SHAPE = ["--input-shape", "3,3,3"]
WAYS = {
    "normalize": ["normalize", "1.pt", "-o", "out.st"],
    "align": ["align", "1.pt", "2.pt", "-o", "out.st"],
    "explain": ["align", "--explain", "1.pt"],
}


@pytest.fixture
def save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """A module of networks, a data set, and a function that saves 1.pt, 2.pt and 3.pt of one class."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(factories, "_allowed", {})
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    Path("nets.py").write_text(NETS)
    source = torch.Generator().manual_seed(0)
    x, y = torch.rand(90, 3, 3, 3, generator=source), torch.arange(90) % 4
    save_file({"x_train": x[:60], "y_train": y[:60], "x_test": x[60:], "y_test": y[60:]}, "data.safetensors")

    def save_three(name: str) -> Any:
        import nets  # type: ignore[import-not-found]

        make = nets.Plain if name == "raises" else getattr(nets, name)
        for seed in (1, 2, 3):
            torch.manual_seed(seed)
            state = make().state_dict()
            for key, tensor in state.items():
                if "running_mean" in key:
                    state[key] = 0.1 * torch.randn_like(tensor)
                elif "running_var" in key or ("bn" in key and "weight" in key):
                    state[key] = torch.rand_like(tensor) + 0.5
            torch.save(state, f"{seed}.pt")
        return make()

    yield save_three
    sys.modules.pop("nets", None)


HOSTILE = {
    "raises": "nets:raises failed: RuntimeError: no / way",
    "Dict": "the model returns a float",
    "Branch": "data-dependent branch",
    "InPlace": "changes the parameter '1.weight' in place",
    "Fails": "ValueError: the moon / is full",
    "Complex": "complex64",
    "Integer": "'odd' is of type torch.int64, which has no rule",
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_models(landscape, save: Callable[..., Any], name: str, way: str) -> None:
    save(name)
    done = landscape(*WAYS[way], "--model", f"nets:{name}", *SHAPE)
    assert (done.code, done.out) == (2, ""), done.err
    assert done.err.startswith("landscape: error: ")
    assert done.err.count("\n") == 1
    assert HOSTILE[name] in done.err
    assert not Path("out.st").exists()


@pytest.mark.parametrize(
    ("name", "note"),
    [("Unused", "never uses the tensor 'spare'"), ("NoRule", "no symmetry rule"), ("Twice", ""), ("SameEitherWay", "")],
)
def test_notes_are_warnings_and_strict_refuses_them(landscape, save: Callable[..., Any], name: str, note: str) -> None:
    save(name)
    named = ["--model", f"nets:{name}", *SHAPE]
    data = ["--data", "data.safetensors"]
    commands = {
        **WAYS,
        "distance": ["distance", "1.pt", "2.pt", "--no-functions"],
        "flatness": ["flatness", "1.pt", "--samples", "1", "--sigma", "0.1", *data],
        "all of it": ["flatness", "1.pt", "--samples", "1", "--sigma", "0.1", "--all-parameters", *data],
        "linear": ["path", "1.pt", "2.pt", "--points", "2", *data],
        "geodesic": ["path", "n/1.st", "n/2.st", "--kind", "geodesic", "--points", "2", *data],
    }
    done = landscape("normalize", "1.pt", "2.pt", *named, "--out-dir", "n")
    assert done.code == 0, done.err
    notes = [line for line in done.err.splitlines() if "warning: " in line]
    assert len(notes) == len(set(notes)) >= bool(note)  # once, of two networks of one model
    assert all(note in line for line in notes)
    assert bool(note) or not notes
    for way, command in commands.items():
        own = named if way != "geodesic" else named[:2]
        for quiet in (False, True):
            done = landscape(*command, *own, *["--quiet"] * quiet)
            assert done.code == 0, (way, done.err)
            untraced = way in {"all of it", "linear"}
            assert ("warning: " in done.err and note in done.err) == (bool(note) and not untraced and not quiet), way
            Path("out.st").unlink(missing_ok=True)
        done = landscape(*command, *own, "--strict")
        assert done.code == (2 if note else 0), (way, done.err)
        assert (note in done.err and "strict" in done.err) == bool(note)
        assert Path("out.st").exists() == (not note and "out.st" in command)
        Path("out.st").unlink(missing_ok=True)


def test_explain(landscape, save: Callable[..., Any]) -> None:
    model = save("Residual")
    named = ["--model", "nets:Residual", *SHAPE]
    done = landscape("align", "--explain", "1.pt", *named)
    assert done.code == 0, done.err
    assert "warning" not in done.err
    found = json.loads(done.out)
    symmetry = trace_symmetry(model, torch.zeros(2, 3, 3, 3))
    stream, inner = found["groups"]
    assert (stream["name"], stream["units"], inner["name"]) == ("conv1", 6, "conv2")
    roles: dict[str, list[str]] = {}
    for axis in stream["axes"]:
        roles.setdefault(axis["role"], []).append(f"{axis['tensor']}{axis['axes']}")
    assert roles["incoming"] == ["conv1.weight[0]", "conv3.weight[0]"]
    assert roles["outgoing"] == ["conv2.weight[1]", "fc.weight[1]"]
    assert roles["gain"] == ["bn1.weight[0]", "bn3.weight[0]"]
    assert stream["scales"] == ["conv1", "bn1", "conv3"]
    assert inner["scales"] == ["conv2", "bn2"]
    assert stream["signs"] == ["conv1", "conv3"]
    assert found["summary"] == {
        "permutation_groups": 2,
        "permutable_units": 12,
        "scale_groups": 5,
        "scalable_units": 30,
        "sign_groups": 3,
        "flippable_units": 18,
        "fixed_axes": 5,
        "free_axes": 18,
        "by_nature_axes": 5,
        "not_understood_axes": 0,
    }
    fixed = {(axis["tensor"], axis["axis"]): axis["reason"] for axis in found["fixed"]}
    assert fixed["conv1.weight", 1] == "input"
    assert fixed["fc.bias", 0] == "output"
    assert "kernel" in fixed["conv1.weight", 3]
    accounted = fixed.keys() | {(a["tensor"], d) for g in found["groups"] for a in g["axes"] for d in a["axes"]}
    assert accounted == {(name, dim) for name, shape in symmetry.shapes for dim, size in enumerate(shape) if size > 1}
    variance = next(a for s in found["scales"] for a in s["axes"] if a["tensor"] == "bn1.running_var")
    assert variance["power"] == 2
    assert found["provenance"]["inputs"].keys() == {"1.pt"}
    assert not any(path.suffix == ".st" for path in Path().iterdir())

    done = landscape("align", "--explain", "1.pt", *named, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(done.out.partition("\n")[2])))
    assert [row["name"] for row in rows if row["kind"] == "permutation"] == ["conv1", "conv2"]
    assert [row["kind"] for row in rows].count("scale") == 5
    assert "written by conv1.weight[0], conv3.weight[0]; read by conv2.weight[1], fc.weight[1]" in rows[0]["axes"]
    assert "bn1.{weight,bias,running_mean,running_var}[0]" in rows[0]["axes"]
    assert {row["name"]: row["units"] for row in rows if row["kind"] == "fixed"}["output"] == "8"

    done = landscape("align", "--explain", "1.pt", *named, "--format", "table")
    heading, *lines = done.out.splitlines()
    assert "2 groups (12 units) to permute, 5 groups (30 units) to rescale, 3 groups (18 units) to flip" in heading
    assert max(map(len, lines)) <= 100
    for words in (
        "permuted together",
        "Free scales",
        "Free signs",
        "Fixed",
        "/ conv2.weight[1]",
        "x² bn1.running_var",
    ):
        assert words in done.out


def test_check(landscape, save: Callable[..., Any]) -> None:
    """What a small network's outputs say is counted, and listed where it is more than what was found."""
    save("Twice")
    named = ["--model", "nets:Twice", *SHAPE]
    done = landscape("align", "--explain", "--check", "1.pt", *named)
    assert done.code == 0, done.err
    assert "check: found 1 of 1 groups, 7 of 7 scales, 0 of 0 signs" in done.err
    found = json.loads(done.out)
    assert found["check"]["complete"]
    assert "check" in found["provenance"]["arguments"]
    assert landscape("align", "--check", "1.pt", "1.pt", *named).code == 2


def test_explain_takes_one_network_and_nothing_else(landscape, trained: list[str]) -> None:  # noqa: F811
    done = landscape("align", "--explain", "1.st", "--format", "table", "--quiet")
    assert (done.code, done.err) == (0, "")
    for arguments, word in {
        ("--explain", "1.st", "2.st"): "leave out 2.st",
        ("--explain", "1.st", "-o", "x.st"): "leave out --output",
        ("--explain", "1.st", "--method", "cosine"): "leave out --method",
        ("1.st", "-o", "x.st"): "name one or more networks after the reference 1.st",
        ("--explain",): "Missing argument",
    }.items():
        done = landscape("align", *arguments)
        assert (done.code, done.out, word in done.err) == (2, "", True), done.err
        assert done.err.count("\n") == 1
    assert not Path("x.st").exists()


def without(symmetry: Symmetry, kind: str, group: str, tensor: str) -> Symmetry:
    """Return a wrong symmetry, in which a group forgets a tensor."""
    groups = [
        replace(g, axes=tuple(axis for axis in g.axes if axis.tensor != tensor)) if g.name == group else g
        for g in getattr(symmetry, kind)
    ]
    return replace(symmetry, **{kind: tuple(groups)})


def forget(monkeypatch: pytest.MonkeyPatch, kind: str, group: str, tensor: str) -> None:
    def wrong(model: nn.Module, example: Tensor, **options: bool) -> Symmetry:
        return without(trace_symmetry(model, example, **options), kind, group, tensor)

    monkeypatch.setattr(landscape_cli.symmetry, "trace_symmetry", wrong)


def test_the_group_at_fault_is_named(
    landscape,
    trained: list[str],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert landscape("align", "1.st", "2.st", "-o", "right.st").code == 0
    forget(monkeypatch, "permutations", "fc2", "fc3.weight")
    done = landscape("align", "1.st", "2.st", "-o", "out.st")
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert "aligning 2.st changed the function" in done.err
    assert "(at fault: the group 'fc2')" in done.err
    assert not Path("out.st").exists()


def test_the_signs_at_fault_are_named(landscape, save: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    save("odd")
    forget(monkeypatch, "signs", "1", "3.weight")
    done = landscape("align", "1.pt", "2.pt", "-o", "out.st", "--model", "nets:odd", *SHAPE)
    assert (done.code, "(at fault: the group 'signs of 1')" in done.err) == (1, True), done.err
    assert not Path("out.st").exists()


@pytest.mark.parametrize("method", ["cosine", "weight", "activation"])
def test_batch_norm_from_end_to_end(landscape, save: Callable[..., Any], method: str) -> None:
    """Foreign residual networks, normalised, aligned by each method and measured: every function is what it was."""
    model = save("Residual").double().eval()
    named, again = ["--model", "nets:Residual", *SHAPE], ["--model", "nets:Residual"]
    data = ["--data", "data.safetensors"]
    done = landscape("normalize", "1.pt", "2.pt", "3.pt", *named, "--strict", "--out-dir", "n")
    assert done.code == 0, done.err
    factors = [row["output_factor"] for row in json.loads(done.out)["networks"]]
    own = [*again, *data] if method == "activation" else again
    done = landscape("align", "n/1.st", "n/2.st", "n/3.st", *own, "--method", method, "--strict", "--out-dir", "a")
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert all(proof["relative_difference"] < 1e-5 for proof in report["networks"])
    assert any(row["relabelled"] for row in report["groups"])
    inputs = load_file("data.safetensors")["x_test"].double()
    outputs = {}
    for path in ("1.pt", "2.pt", "3.pt", "n/1.st", "n/2.st", "n/3.st", "a/2_aligned.st", "a/3_aligned.st"):
        params = torch.load(path, weights_only=True) if path.endswith(".pt") else read_checkpoint(path).params
        model.load_state_dict(dict(params))
        outputs[path] = model(inputs).detach()
    scale = outputs["2.pt"].abs().max()
    assert (outputs["n/2.st"] - outputs["n/1.st"]).abs().max() > 0.1 * scale
    for seed, factor in zip((1, 2, 3), factors, strict=True):
        for path in (f"n/{seed}.st", f"a/{seed}_aligned.st"):
            if path in outputs:
                assert (outputs[path] - factor * outputs[f"{seed}.pt"]).abs().max() < 1e-5 * factor * scale, path
    moved = read_checkpoint("a/2_aligned.st").params["conv1.weight"]
    assert not torch.equal(moved, read_checkpoint("n/2.st").params["conv1.weight"])

    paths = {}
    for kind in ("linear", "geodesic"):
        for bn in ("keep", "recompute"):
            done = landscape(
                *("path", "n/1.st", "a/2_aligned.st", *again, *data),
                *("--kind", kind, "--bn", bn, "--points", "3", "--loss", "--strict"),
            )
            assert done.code == 0, done.err
            paths[kind, bn] = [point["train_loss"] for point in json.loads(done.out)["points"]]
    assert len({tuple(losses) for losses in paths.values()}) == 4, paths
    assert paths["linear", "keep"][::2] == paths["geodesic", "keep"][::2]
    energies = []
    for seed in (2, "2_aligned"):
        network = f"n/{seed}.st" if seed == 2 else f"a/{seed}.st"
        done = landscape(
            "flatness", network, *again, *data, "--samples", "1", "--sigma", "0", "--bn", "recompute", "--strict"
        )
        assert done.code == 0, done.err
        energies.append(json.loads(done.out)["networks"][0]["train_error"])
    assert energies[0] == energies[1]
    done = landscape("distance", "n/2.st", "a/2_aligned.st", "n/1.st", *again, *data, "--strict")
    assert done.code == 0, done.err
    pairs = json.loads(done.out)["pairs"]
    assert pairs[0]["test_disagreement"] == 0
    assert pairs[0]["geodesic"] > 1


def test_points_without_outputs_are_missing(landscape, save: Callable[..., Any]) -> None:
    """Far out in a plane, kept variances fall below zero: no error there, and no class 0 either."""
    save("Residual")
    named = ["--model", "nets:Residual", *SHAPE, "--data", "data.safetensors", "--device", "cpu"]
    far = ["plane", "1.pt", "2.pt", "3.pt", *named, "--grid", "4", "--margin", "2", "--loss"]
    done = landscape(*far)
    assert done.code == 0, done.err
    points = json.loads(done.out)["points"]
    missing = [point for point in points if point["train_error"] is None]
    assert 0 < len(missing) < len(points)
    assert all(value is None for point in missing for key, value in point.items() if key not in "xy")
    [line] = [line for line in done.err.splitlines() if "warning" in line]
    assert f"{len(missing)} of 16 nodes have no error" in line
    assert "--bn recompute" in line
    done = landscape(*far, "--bn", "recompute")
    assert "warning" not in done.err
    assert not any(value is None for point in json.loads(done.out)["points"] for value in point.values())
    done = landscape(*far[:-1], "--format", "table", "--plot", "x.png")
    assert (done.code, " nan " in done.out, f" {len(missing)} " in done.out) == (0, False, True), done.err


def test_networks_without_outputs(landscape, save: Callable[..., Any]) -> None:
    """Weights so large that outputs overflow: paths and distances say so."""
    save("Plain")
    state = torch.load("2.pt", weights_only=True)
    torch.save({k: t.sign() * 1e38 for k, t in state.items()}, "2.pt")
    named = ["--model", "nets:Plain", *SHAPE, "--data", "data.safetensors"]
    done = landscape("path", "1.pt", "2.pt", *named, "--points", "3", "--plot", "x.png")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert [point["train_error"] is None for point in found["points"]] == [False, True, True]
    assert set(found["barrier"]["train"].values()) == {None}
    assert "2 of 3 points have no error" in done.err
    assert "--bn" not in done.err
    done = landscape("distance", "1.pt", "2.pt", *named)
    assert json.loads(done.out)["pairs"][0]["train_disagreement"] is None
    assert "outputs of 2.pt are NaN" in done.err
    done = landscape("flatness", "2.pt", *named, "--samples", "2", "--sigma", "0.1,0.2")
    [network] = json.loads(done.out)["networks"]
    assert network["train_error"] is None
    assert network["local_energy"][0]["train_draws"] == [None, None]
    assert "4 of 4 draws for 2.pt have no error" in done.err
