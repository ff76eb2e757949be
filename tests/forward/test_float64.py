"""Models that make tensors in float32 themselves run in float64 all the same, wherever that is asked for."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli import trace_symmetry
from landscape_cli.alignment.align import match_networks
from landscape_cli.data.datasets import Split
from landscape_cli.evaluation.equivalence import prove_equivalence, to_double
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.evaluation.probes import probe_batch
from landscape_cli.forward import float64
from landscape_cli.forward.float64 import in_float64
from landscape_cli.models import factories
from landscape_cli.normalization.normalize import normalize_params

CPU = torch.device("cpu")


class Base(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.h = nn.Linear(12, 8), nn.Linear(8, 8), nn.Linear(8, 5)
        self.table = torch.arange(8.0) + 1


class Recurrent(Base):
    def forward(self, x: Tensor) -> Tensor:
        h = torch.zeros(x.shape[0], 8, device=x.device)
        for _ in range(3):
            h = torch.tanh(self.a(x) + self.b(h))
        return self.h(h)


class Casts(Base):
    def forward(self, x: Tensor) -> Tensor:
        z = F.relu(self.a(x.float())).to(torch.float32).type(torch.float32)
        return self.h(z.to(dtype=torch.float32, copy=True))


class Masks(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.h(F.linear(F.relu(self.a(x)), torch.tril(torch.ones(8, 8, dtype=torch.float32))))


class Literals(Base):
    def forward(self, x: Tensor) -> Tensor:
        z = F.relu(self.a(x)) * torch.tensor([1.0, 2, 3, 4, 5, 6, 7, 8], dtype=torch.float32)
        angles = torch.arange(0, 8, dtype=torch.float32) / 7
        return self.h(torch.addmm(angles.sin(), z, torch.eye(8) + torch.full((8, 8), 0.1)) @ torch.diag(self.table))


class Writes(Base):
    def forward(self, x: Tensor) -> Tensor:
        z = torch.zeros(x.shape[0], 8)
        z[:, ::2] = F.relu(self.a(x))[:, ::2]
        z.add_(x.new_ones(8))
        return self.h(z)


class Half(Base):
    """Casts to less than float32, which a proof in float64 must not see."""

    def forward(self, x: Tensor) -> Tensor:
        return self.h(F.relu(self.a(x)).half().float())


MODELS = [Recurrent, Casts, Masks, Literals, Writes, Half]


def network(kind: type[nn.Module], dtype: torch.dtype = torch.float32) -> nn.Module:
    torch.manual_seed(0)
    return kind().to(dtype).eval().requires_grad_(False)


@pytest.mark.parametrize("kind", MODELS)
def test_outputs_are_those_of_float64(kind: type[nn.Module]) -> None:
    model, wide, x = network(kind), network(kind, torch.float64), torch.randn(6, 12)
    with in_float64():
        found = wide(x.double())
    assert found.dtype == torch.float64
    assert torch.get_default_dtype() == torch.float32
    assert torch.zeros(1).dtype == torch.float32
    expected = model(x)
    assert torch.allclose(found.float(), expected, rtol=1e-3 if kind is Half else 1e-5, atol=1e-3)
    if kind is not Half:
        assert not torch.equal(found, expected.double())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", MODELS)
def test_normalised_and_proved(kind: type[nn.Module], dtype: torch.dtype) -> None:
    model = network(kind, dtype)
    symmetry = trace_symmetry(model, torch.zeros(2, 12, dtype=dtype))
    params = dict(model.state_dict())
    exact = normalize_params(to_double(params, CPU), symmetry, keep_last_layer=True).params
    stored = normalize_params(params, symmetry, keep_last_layer=True).params
    probe = probe_batch(model, params, (12,), seed=0, device=CPU)
    difference = prove_equivalence(model, params, exact, stored, probe, what="normalising")
    assert difference.relative < 1e-4
    assert difference.in_float64
    assert match_networks(params, stored, symmetry).params.keys() == params.keys()


@pytest.mark.parametrize("kind", MODELS)
def test_evaluated(kind: type[nn.Module]) -> None:
    model, x = network(kind, torch.float64), torch.randn(40, 12)
    errors = Evaluator(model, Split(x, torch.arange(40) % 5)).error([dict(model.state_dict())])
    with in_float64():
        wrong = model(x.double()).argmax(1) != torch.arange(40) % 5
    assert float(errors[0]) == float(wrong.double().mean())


class Stubborn(Base):
    """Reads the bits of numbers, which only float32 has so."""

    def forward(self, x: Tensor) -> Tensor:
        z = F.relu(self.a(x))
        return self.h((z.view(torch.int32).view(z.shape[0], 8) * 1).view(torch.float32))


def test_falls_back_on_the_networks_own_type() -> None:
    model = network(Stubborn)
    params = dict(model.state_dict())
    probe = probe_batch(model, params, (12,), seed=0, device=CPU)
    same = prove_equivalence(model, params, to_double(params, CPU), params, probe, what="nothing")
    assert not same.in_float64
    moved = {**params, "h.bias": params["h.bias"] + 1}
    with pytest.raises(Exception, match="changed the function"):
        prove_equivalence(model, params, to_double(moved, CPU), moved, probe, what="moving")


@pytest.mark.parametrize("name", ["Recurrent", "Casts", "Masks", "Stubborn"])
def test_commands(landscape, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(factories, "_allowed", {})
    Path("made_here.py").write_text(Path(__file__).read_text())
    for seed in (1, 2):
        torch.manual_seed(seed)
        torch.save(globals()[name]().state_dict(), f"{seed}.pt")
    model = ["--model", f"made_here:{name}", "--input-shape", "12"]
    done = landscape("normalize", "1.pt", "2.pt", *model, "--out-dir", "n")
    assert done.code == 0, done.err
    assert ("in float32" in done.err) == (name == "Stubborn")
    done = landscape("align", "n/1.st", "n/2.st", *model[:2], "-o", "a.st")
    assert done.code == 0, done.err
    assert json.loads(done.out)["networks"][0]["relative_difference"] < 1e-4
    assert landscape("align", "--explain", "n/1.st", *model[:2]).code == 0
    sys.modules.pop("made_here", None)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 6, 3, padding=1, stride=2),
        nn.Conv2d(4, 6, 3, groups=2, dilation=2),
        nn.Conv1d(4, 5, 3),
        nn.ConvTranspose2d(4, 3, 3, stride=2),
    ],
)
def test_convolutions_unfold_a_few_samples_at_a_time(layer: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    """And have the bits that all samples at once have: of whole numbers, as products are not summed in one order."""
    layer = layer.double().eval().requires_grad_(False)
    for tensor in layer.parameters():
        tensor.random_(-9, 10)
    x = torch.randint(-9, 10, (5, 4, *[9] * (layer.weight.ndim - 2)), dtype=torch.float64)
    whole, counts = layer(x), []
    split = Tensor.split
    monkeypatch.setattr(Tensor, "split", lambda x, size: counts.append(size) or split(x, size))
    for unfolded in (1, 1 << 30):
        monkeypatch.setattr(float64, "UNFOLDED", unfolded)
        with in_float64():
            assert torch.equal(layer(x), whole)
    assert counts[0] == 1
    assert counts[1] > len(x)
    with in_float64():
        assert layer(x[:0]).shape[1:] == whole.shape[1:]


@pytest.mark.parametrize(
    "how", [{}, {"padding": 1, "stride": 2, "bias": False}, {"padding": (2, 0), "dilation": (1, 2)}]
)
def test_few_windows_are_one_product(how: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all samples, or as many as memory is meant to hold; the same but for rounding."""
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 256, (3, 2), **how).double().eval().requires_grad_(False)
    x, products = torch.randn(5, 3, 5, 4, dtype=torch.float64), []
    in_one = float64._in_one_product
    monkeypatch.setattr(float64, "_in_one_product", lambda *args: products.append(len(args[0])) or in_one(*args))
    expected = layer(x)
    for unfolded, samples in ((1 << 30, [5]), (1, [1] * 5)):
        monkeypatch.setattr(float64, "UNFOLDED", unfolded)
        products.clear()
        with in_float64():
            found = layer(x)
        assert products == samples
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    products.clear()
    with in_float64():
        layer(torch.randn(2, 3, 16, 16, dtype=torch.float64))  # 64 windows each, of 256 filters
    assert not products
