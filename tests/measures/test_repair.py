"""REPAIR: units between two networks have means and deviations between theirs, in a plain network again."""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli import Split, barrier, linear, path, trace_symmetry
from landscape_cli.errors import GeometryError, LandscapeError, Remark
from landscape_cli.measures import repair as module
from landscape_cli.measures.repair import Repair
from tests.support.alignment_nets import Attention, ConvBlocks, Residual
from tests.support.binaries import make_binary


class Plain(nn.Module):
    """Convolutions, one grouped and one transposed, then fully connected layers; no norm layers."""

    def __init__(self, bias: bool = True) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 6, 3, bias=bias), nn.Conv2d(6, 8, 3, groups=2, bias=bias)
        self.up = nn.ConvTranspose2d(8, 5, 2, bias=bias)
        self.act = nn.ReLU(inplace=True)
        self.fc, self.out = nn.Linear(5 * 9, 7, bias=bias), nn.Linear(7, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.up(self.act(self.second(self.act(self.first(x))))))
        return self.out(torch.tanh(self.fc(x.flatten(1))))


class Twice(nn.Module):
    """One layer that is used twice, and one that is used once."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.again, self.last = nn.Linear(6, 9), nn.Linear(9, 9), nn.Linear(9, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.first(x))
        return self.last(torch.tanh(self.again(torch.tanh(self.again(x)))))


class Squashed(nn.Linear):
    """A fully connected layer that puts out something else than its sum."""

    def forward(self, input: Tensor) -> Tensor:
        return torch.tanh(super().forward(input))


class Ends:
    """Two random networks, and inputs."""

    def __init__(self, make: Any, shape: tuple[int, ...], dtype: torch.dtype = torch.float64) -> None:
        torch.manual_seed(0)
        models = [make().to(dtype).eval().requires_grad_(False) for _ in range(2)]
        self.model = models[0]
        self.start, self.end = ({k: t.clone() for k, t in model.state_dict().items()} for model in models)
        self.x = torch.randn(64, *shape, dtype=dtype)
        self.symmetry = trace_symmetry(self.model, self.x[:2])

    def repair(self) -> Repair:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Remark)
            return Repair(self.model, self.symmetry, self.start, self.x)

    def outputs(self, params: dict[str, Tensor], names: tuple[str, ...]) -> dict[str, Tensor]:
        """Return what modules put out, by PyTorch's own loop."""
        modules, kept = dict(self.model.named_modules()), {}
        handles = [
            modules[name].register_forward_hook(lambda m, a, o, name=name: kept.update({name: o.clone()}))
            for name in names
        ]
        kept[""] = torch.func.functional_call(self.model, params, (self.x,))
        for handle in handles:
            handle.remove()
        return kept


NETS: dict[str, tuple[Any, tuple[int, ...], tuple[str, ...], int]] = {
    "mlp": (
        lambda: nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 8), nn.ReLU(), nn.Linear(8, 3)),
        *((6,), ("0", "2"), -1),
    ),
    "plain": (Plain, (2, 6, 6), ("first", "second", "up"), 1),
    "residual": (lambda: Residual(8, 9), (10,), ("embed", "up.0", "up.1", "down.0", "down.1"), -1),
    "layer-norm": (Attention, (7, 5), ("norm",), -1),
}


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("tau", [0.3, 0.5])
def test_means_and_deviations_lie_between_those_of_the_ends(name: str, tau: float) -> None:
    make, shape, names, dim = NETS[name]
    ends = Ends(make, shape)
    repair = ends.repair()
    assert {*names} <= {*repair.modules}
    between = linear(ends.start, ends.end, tau)
    before = {key: tensor.clone() for key, tensor in between.items()}
    found = repair.at(between, tau, repair.statistics(ends.start), repair.statistics(ends.end))
    assert all(torch.equal(between[key], tensor) for key, tensor in before.items())
    start, end, middle, plain = (ends.outputs(p, names) for p in (ends.start, ends.end, found, between))
    for key in names:
        rows = [part[key].movedim(dim, -1).flatten(0, -2) for part in (start, end, middle, plain)]
        means = [part.mean(0) for part in rows]
        deviations = [part.std(0, correction=0) for part in rows]
        torch.testing.assert_close(means[2], (1 - tau) * means[0] + tau * means[1], rtol=1e-6, atol=1e-8)
        expected = (1 - tau) * deviations[0] + tau * deviations[1]
        torch.testing.assert_close(deviations[2], expected, rtol=1e-4, atol=1e-6)
        assert not torch.allclose(deviations[3], expected, rtol=1e-2)  # there was something to correct


@pytest.mark.parametrize("name", NETS)
def test_the_ends_stay_what_they_are(name: str) -> None:
    make, shape, names, _ = NETS[name]
    ends = Ends(make, shape)
    repair = ends.repair()
    statistics = [repair.statistics(network) for network in (ends.start, ends.end)]
    for tau, network in ((0.0, ends.start), (1.0, ends.end)):
        assert all(tensor is network[key] for key, tensor in repair.at(network, tau, *statistics).items())
    for tau, network in ((1e-12, ends.start), (1 - 1e-12, ends.end)):
        found = repair.at(network, tau, *statistics)
        expected, outputs = (ends.outputs(params, names)[""] for params in (network, found))
        torch.testing.assert_close(outputs, expected, rtol=1e-8, atol=1e-8)


def test_what_cannot_be_corrected_is_left_alone_and_said() -> None:
    ends = Ends(Twice, (6,))
    with pytest.warns(Remark, match="leaves units as they are that no module puts out alone: again"):
        assert Repair(ends.model, ends.symmetry, ends.start, ends.x).modules == ("first",)
    ends = Ends(lambda: nn.Sequential(nn.Linear(6, 9), nn.ReLU(), Squashed(9, 8), nn.Linear(8, 3)), (6,))
    with pytest.warns(Remark, match=r"leaves units as they are.*: 2"):
        assert Repair(ends.model, ends.symmetry, ends.start, ends.x).modules == ("0",)


def test_without_a_bias_deviations_alone_are_corrected() -> None:
    ends = Ends(lambda: Plain(bias=False), (2, 6, 6))
    with pytest.warns(Remark, match="deviations alone where there is no bias: first, second, up"):
        repair = Repair(ends.model, ends.symmetry, ends.start, ends.x)
    found = repair.at(
        linear(ends.start, ends.end, 0.5), 0.5, repair.statistics(ends.start), repair.statistics(ends.end)
    )
    assert found.keys() == ends.start.keys()
    outputs = [ends.outputs(params, ("first",))["first"] for params in (ends.start, ends.end, found)]
    deviations = [part.movedim(1, -1).flatten(0, -2).std(0, correction=0) for part in outputs]
    torch.testing.assert_close(deviations[2], (deviations[0] + deviations[1]) / 2, rtol=1e-4, atol=1e-6)


def test_in_batches_it_is_nearly_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    ends = Ends(NETS["mlp"][0], (6,))
    ends.x = torch.randn(2048, 6, dtype=torch.float64)
    between = linear(ends.start, ends.end, 0.5)
    found = []
    for count in (1, 4):
        monkeypatch.setattr(module, "size_of_batches", lambda *_, count=count: 2048 // count)
        calls: list[int] = []
        repair = Repair(ends.model, ends.symmetry, ends.start, ends.x, advance=calls.append)
        found.append(repair.at(between, 0.5, repair.statistics(ends.start), repair.statistics(ends.end)))
        assert sum(calls) == 3 * repair.samples == 3 * 2048
    assert not torch.equal(found[0]["2.weight"], found[1]["2.weight"])
    for key, tensor in found[0].items():
        torch.testing.assert_close(found[1][key], tensor, rtol=0.05, atol=0.01)


def test_units_that_never_change_stay_finite() -> None:
    ends = Ends(NETS["mlp"][0], (6,))
    for network in (ends.start, ends.end):
        network["0.weight"][0] = 0
        network["2.weight"].zero_()
    repair = ends.repair()
    found = repair.at(
        linear(ends.start, ends.end, 0.5), 0.5, repair.statistics(ends.start), repair.statistics(ends.end)
    )
    assert all(bool(tensor.isfinite().all()) for tensor in found.values())


def test_what_is_refused() -> None:
    def repair(model: nn.Module, shape: tuple[int, ...]) -> Repair:
        x = torch.randn(4, *shape)
        return Repair(model.eval(), trace_symmetry(model, x), model.state_dict(), x)

    with pytest.raises(GeometryError, match=r"without batch-norm.*use `bn=` recompute"):
        repair(ConvBlocks(), (3, 8, 8))
    with pytest.raises(GeometryError, match="changes nothing"):
        repair(nn.Sequential(nn.Linear(5, 3)), (5,))
    binary = make_binary("mlp")
    with pytest.raises(GeometryError, match="not for binary networks"):
        Repair(binary.model, binary.symmetry, binary.params, torch.randn(4, *binary.inputs.shape[1:]))
    ends = Ends(NETS["mlp"][0], (6,))
    data = Split(ends.x, torch.zeros(64, dtype=torch.int64))
    with pytest.raises(LandscapeError, match="`symmetry="):
        path(ends.model, ends.start, ends.end, data, repair=True)


def trained(seed: int, data: Split) -> dict[str, Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = deep()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for _ in range(80):
            optimizer.zero_grad()
            F.cross_entropy(model(data.x), data.y).backward()
            optimizer.step()
    return {key: tensor.detach().clone() for key, tensor in model.state_dict().items()}


def deep() -> nn.Sequential:
    widths = (8, 24, 24, 24, 24, 4)
    layers = [part for a, b in pairwise(widths) for part in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


@pytest.mark.parametrize("kind", ["linear", "geodesic"])
def test_the_middle_of_a_trained_pair_gets_better(kind: str) -> None:
    from landscape_cli import align, normalize

    source = torch.Generator().manual_seed(0)
    y = torch.arange(256) % 4
    data = Split(torch.randn(4, 8, generator=source)[y] + 0.4 * torch.randn(256, 8, generator=source), y)
    model = deep().eval()
    symmetry = trace_symmetry(model, data.x[:2])
    a, b = (trained(seed, data) for seed in (1, 2))
    if kind == "geodesic":
        a, b = (normalize(model, network, symmetry).params for network in (a, b))
    b = align(model, a, b, symmetry).params
    setting: dict[str, Any] = {"kind": kind, "symmetry": symmetry, "points": 5}
    plain, repaired = (path(model, a, b, data, repair=repair, **setting) for repair in (False, True))
    assert torch.equal(repaired.losses["data"][:, [0, -1]], plain.losses["data"][:, [0, -1]])
    assert float(repaired.losses["data"][0, 2]) < 0.8 * float(plain.losses["data"][0, 2])
    assert float(plain.losses["data"][0, 2]) > 2 * float(plain.losses["data"][0, 0])
    assert repaired.to_dict()["repair"] == ["0", "2", "4", "6"]
    assert "repair" not in plain.to_dict()
    top = barrier(model, a, b, data, repair=True, loss=True, **setting)["data"].max
    assert top == pytest.approx(float(repaired.losses["data"].max()))
