"""Models and files that break the rules, on the command line: one line, exit code 2, nothing written."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import landscape_cli
from landscape_cli.models import factories

NETS = """
import torch
from torch import nn
import torch.nn.functional as F

class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.n, self.h = nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 4)
    def forward(self, x):
        return self.h(F.relu(self.n(self.a(x))))

class Exits(Plain):
    def forward(self, x):
        raise SystemExit(0)

class ExitsLater(Plain):
    calls = 0
    def forward(self, x):
        self.calls += 1
        if self.calls > 2:
            raise SystemExit(0)
        return super().forward(x)

class Replaces(Plain):
    def forward(self, x):
        self.a.weight = nn.Parameter(self.a.weight * 0.5)
        return super().forward(x)

class Alternates(Plain):
    calls = 0
    def forward(self, x):
        self.calls += 1
        z = self.a(x)
        return self.h(F.relu(z) if self.calls % 2 else torch.tanh(z))

class Looks(Plain):
    def forward(self, x):
        if x.device.type == "cpu" and x.dtype == torch.float64:
            raise ValueError("one line\\n\\nand another")
        raise ValueError("one line\\n\\nand another")
"""
SHAPE = ["--input-shape", "6"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(factories, "_allowed", {})
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    Path("hostile_nets.py").write_text(NETS)
    import hostile_nets  # type: ignore[import-not-found]

    for seed in (1, 2):
        torch.manual_seed(seed)
        torch.save(hostile_nets.Plain().state_dict(), f"{seed}.pt")
    yield
    sys.modules.pop("hostile_nets", None)


WAYS = {
    "normalize": ["normalize", "1.pt", "-o", "out.st"],
    "align": ["align", "1.pt", "2.pt", "-o", "out.st"],
    "explain": ["align", "--explain", "1.pt"],
}
MODELS = {
    "Exits": "ends the program (SystemExit)",
    "Replaces": "replaces the parameter 'a.weight'",
    "Looks": "ValueError: one line / and another",
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", MODELS)
def test_models(landscape, name: str, way: str) -> None:
    done = landscape(*WAYS[way], "--model", f"hostile_nets:{name}", *SHAPE)
    assert (done.code, done.out) == (2, ""), done.err
    assert done.err.startswith("landscape: error: ")
    assert done.err.count("\n") == 1
    assert MODELS[name] in done.err
    assert not Path("out.st").exists()
    assert landscape(*WAYS[way], "--model", "hostile_nets:Plain", *SHAPE).code == 0


@pytest.mark.parametrize(
    ("name", "word"), [("ExitsLater", "ends the program"), ("Alternates", "from one call to the next")]
)
def test_models_that_keep_count(landscape, name: str, word: str) -> None:
    done = landscape(*WAYS["normalize"], "--model", f"hostile_nets:{name}", *SHAPE)
    assert (done.code, done.out) == (2, ""), done.err
    assert word in done.err
    assert not Path("out.st").exists()


def test_negative_variance_is_named(landscape) -> None:
    state = torch.load("1.pt", weights_only=True)
    state["n.running_var"][3] = -1
    torch.save(state, "bad.pt")
    done = landscape("normalize", "bad.pt", "--model", "hostile_nets:Plain", *SHAPE, "-o", "out.st")
    assert done.code == 2
    assert "the running variance 'n.running_var' holds negative numbers" in done.err
    done = landscape("align", "1.pt", "bad.pt", "--model", "hostile_nets:Plain", *SHAPE, "-o", "out.st")
    assert done.code == 2
    assert "NaN or Inf as it is, first in the module 'n', whose 'n.running_var' holds negative numbers" in done.err


def test_files(landscape) -> None:
    torch.save({"a.weight": torch.ones(3, dtype=torch.complex64)}, "complex.pt")
    Path("empty.pt").write_bytes(b"")
    Path("junk.pt").write_bytes(b"junk" * 9)
    named = ["--model", "hostile_nets:Plain", *SHAPE, "-o", "out.st"]
    done = landscape("normalize", "complex.pt", *named)
    assert done.code == 2
    assert "complex64" in done.err
    assert "torch.view_as_complex" in done.err
    assert "state_dict" not in done.err
    for name in ("empty.pt", "junk.pt"):
        done = landscape("normalize", name, *named)
        assert done.code == 2
        assert f"{name} is neither a safetensors file nor one of PyTorch's" in done.err


def test_usage(landscape) -> None:
    done = landscape("align", "1.pt", "--model", "hostile_nets:Plain", *SHAPE, "-o", "out.st")
    assert done.code == 2
    assert done.err.startswith("landscape: error: there is nothing to permute: name one or more networks after")
    done = landscape("align", "1.pt", "2.pt", "--model", "hostile_nets:Plain", "--input-shape", "x", "-o", "out.st")
    assert done.err.startswith("landscape: error: --input-shape takes")
    done = landscape("align", "1.pt", "2.pt", "--orders", "0", "-o", "out.st")
    assert done.err.startswith("landscape: error: Invalid value for '--orders'")


def test_every_network_that_is_not_normalised_is_named(landscape) -> None:
    named = ["--model", "hostile_nets:Plain", *SHAPE]
    done = landscape("distance", "1.pt", "2.pt", *named, "--no-functions")
    assert "1.pt, 2.pt are not normalised" in done.err
    assert landscape("normalize", "1.pt", *named, "-o", "n.st").code == 0
    done = landscape("distance", "n.st", "2.pt", *named, "--no-functions")
    assert "2.pt is not normalised" in done.err
    assert "n.st is" not in done.err
    assert json.loads(done.out)["pairs"][0]["geodesic"] is None


def test_a_factory_may_import_torchvision(landscape) -> None:
    Path("seeing.py").write_text("def make():\n    import torchvision\n    return torchvision.ops.MLP(3, [5, 4])\n")
    shapes = {"0.weight": (5, 3), "0.bias": (5,), "3.weight": (4, 5), "3.bias": (4,)}
    torch.save({name: torch.randn(shape) for name, shape in shapes.items()}, "r.pt")
    root = str(Path(landscape_cli.__file__).parent.parent)
    environment = {"PYTHONPATH": root, "PATH": "/usr/bin:/bin", "HOME": "."}
    command = ["align", "--explain", "r.pt", "--model", "seeing:make", "--input-shape", "3"]
    done = subprocess.run(
        [sys.executable, "-m", "landscape_cli", *command], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_symmetries_can_be_applied_in_python() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 2)).double()
    symmetry = landscape_cli.trace_symmetry(model, torch.zeros(2, 3))  # whose type does not matter
    source, params = torch.Generator().manual_seed(0), dict(model.state_dict())
    moved = landscape_cli.permute(params, symmetry, landscape_cli.random_permutations(symmetry, generator=source))
    moved = landscape_cli.flip(moved, symmetry, landscape_cli.random_signs(symmetry, generator=source))
    x = torch.randn(4, 3).double()
    assert torch.allclose(torch.func.functional_call(model, moved, (x,)), model(x))
    assert not torch.equal(moved["0.weight"], params["0.weight"])
