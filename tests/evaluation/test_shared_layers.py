"""First layers shared between networks that are combinations of others: the direct way's numbers, less work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from landscape_cli.data.source import Split
from landscape_cli.evaluation import shared_layers
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.evaluation.shared_layers import first_layers
from landscape_cli.forward.combination import Combination, alone, combine
from landscape_cli.geometry.geodesic import GeodesicPath
from landscape_cli.geometry.linear import LinearPath
from landscape_cli.geometry.plane import span_plane
from landscape_cli.measures.flatness import perturbed_energy
from landscape_cli.measures.noise import MultiplicativeNoise
from landscape_cli.network import Params
from landscape_cli.normalization.normalize import normalize_params
from landscape_cli.symmetry import trace_symmetry


def classes(samples: int, width: int = 100) -> Split:
    source = torch.Generator().manual_seed(1)
    centres = torch.randn(4, width, generator=source)
    y = torch.arange(samples) % 4
    return Split(centres[y] + 2 * torch.randn(samples, width, generator=source), y)


def build() -> nn.Sequential:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(100, 40), nn.ReLU(inplace=True), nn.Linear(40, 20), nn.ReLU(), nn.Linear(20, 4)
    )


@pytest.fixture(scope="module")
def trained() -> list[Params]:
    data, networks = classes(400), []
    for seed in range(3):
        torch.manual_seed(seed)
        model = build()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(40):
            optimizer.zero_grad()
            F.cross_entropy(model(data.x), data.y).backward()
            optimizer.step()
        networks.append({name: tensor.detach().clone() for name, tensor in model.state_dict().items()})
    return networks


class Products(TorchFunctionMode):
    """Counts the calls of a first layer of 100 inputs."""

    calls = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.calls += func is F.linear and args[1].shape[-1] == 100
        return func(*args, **(kwargs or {}))


def line(networks: list[Params]) -> Iterator[Params]:
    a, b, _ = networks
    return chain([alone(a)], LinearPath(build()).inner(a, b, 11), [alone(b)])


def plane(networks: list[Params]) -> Iterator[Params]:
    spanned = span_plane(*networks)
    xs, ys = spanned.grid(4, 0.3)
    return (spanned.network(x, y) for x in xs for y in ys)


def geodesic(networks: list[Params]) -> Iterator[Params]:
    symmetry = trace_symmetry(build(), torch.zeros(2, 100))
    a, b = (normalize_params(network, symmetry).params for network in networks[:2])
    return chain([alone(a)], GeodesicPath(build(), symmetry).inner(a, b, 9), [alone(b)])


def noise(networks: list[Params]) -> Iterator[Params]:
    seen: list[Params] = []

    class Spy(Evaluator):
        def evaluate(self, networks):
            given = list(networks)
            seen.extend(given)
            return super().evaluate(given)

    weights = [name for name in networks[0] if name.endswith("weight")]
    perturbed_energy(
        networks[0], Spy(build(), classes(8)), MultiplicativeNoise("sigma"), [0.1, 0.3, 0.5], names=weights, samples=3
    )
    return iter(seen)


FAMILIES: dict[Callable[[list[Params]], Iterator[Params]], int] = {line: 2, plane: 3, geodesic: 4, noise: 5}
"""Each with the number of first layers that are computed for all of it, beside those of networks that are none."""


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_families_decide_as_each_network_alone(family, trained: list[Params]) -> None:
    data = classes(600)
    evaluator = Evaluator(build(), data, batch_size=200)
    networks = list(family(trained))
    with Products() as counted:
        shared = evaluator.evaluate(iter(networks))["data"]
    assert counted.calls <= 3 * FAMILIES[family] + 2  # in three batches; and two samples, to find the layer
    direct = evaluator.evaluate([dict(network) for network in networks])["data"]
    assert torch.equal(shared.wrong, direct.wrong)
    assert torch.allclose(shared.loss, direct.loss, rtol=1e-6)
    assert len(direct.wrong.unique()) > 1
    # Bits do not depend on which networks come together.
    for first, last in ((0, 1), (3, 8)):
        part = evaluator.evaluate(networks[first:last])["data"]
        assert torch.equal(part.loss, shared.loss[first:last])


def test_ends_are_measured_bit_for_bit(trained: list[Params]) -> None:
    evaluator = Evaluator(build(), classes(300), batch_size=128)
    shared = evaluator.evaluate(line(trained))["data"].loss
    assert torch.equal(shared[[0, -1]], evaluator.evaluate(trained[:2])["data"].loss)


def test_a_network_that_lies_about_its_parts_is_believed(trained: list[Params]) -> None:
    """A negative control: what is measured does come from the parts."""
    evaluator, (a, b, _) = Evaluator(build(), classes(300)), trained
    wrong = Combination(a, lambda name: ((b[name], 1.0),))
    assert evaluator.evaluate([wrong])["data"].loss != evaluator.evaluate([a])["data"].loss


def test_memory_is_bounded(trained: list[Params], monkeypatch: pytest.MonkeyPatch) -> None:
    networks = list(line(trained))
    evaluator = Evaluator(build(), classes(600), batch_size=200)
    expected = evaluator.evaluate(networks)["data"].loss
    monkeypatch.setattr(shared_layers, "KEPT_BYTES", 3 * 200 * 40 * 4)  # of the six there are
    few = Evaluator(build(), classes(600), batch_size=200)
    with Products() as counted:
        assert torch.equal(few.evaluate(networks)["data"].loss, expected)
    assert 6 + 2 < counted.calls <= 9 + 2  # the second chunk computes three again


class Scaled(nn.Module):
    """What its first layer reads depends on its parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))
        self.fc1, self.fc2 = nn.Linear(100, 40), nn.Linear(40, 4)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(self.fc1(x * self.gain).relu())
        return out


class Twice(nn.Module):
    """Its first layer is used again."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(100, 100), nn.Linear(100, 4)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(self.fc1(self.fc1(x).relu()))
        return out


def convolutional(padding: int = 0) -> nn.Sequential:
    return nn.Sequential(
        nn.Unflatten(1, (4, 5, 5)), nn.Conv2d(4, 6, 4, padding=padding), nn.ReLU(), nn.Flatten(), nn.LazyLinear(4)
    )


def test_which_layers_read_the_inputs() -> None:
    x = classes(2).x
    standardized = nn.Sequential(nn.BatchNorm1d(100), nn.Linear(100, 4))
    convolution = convolutional()
    convolution(x)
    found = {
        "mlp": first_layers(build(), build().state_dict(), x),
        "scaled": first_layers(Scaled(), Scaled().state_dict(), x),
        "twice": first_layers(Twice(), Twice().state_dict(), x),
        "standardized": first_layers(standardized.eval(), standardized.state_dict(), x),
        "convolution": first_layers(convolution, convolution.state_dict(), x),
        "half": first_layers(build().half(), build().half().state_dict(), x),
    }
    none = {"scaled": {}, "twice": {}, "standardized": {}, "half": {}}
    assert found == {"mlp": {"1.weight": "1.bias"}, "convolution": {"1.weight": "1.bias"}, **none}


@pytest.mark.parametrize("make", [Scaled, Twice, convolutional])
def test_any_model_decides_as_without(make: Callable[[], nn.Module]) -> None:
    data, networks = classes(100), []
    for seed in range(2):
        torch.manual_seed(seed)
        model = make()
        model(data.x)
        networks.append(dict(model.state_dict()))
    if make is Scaled:
        networks[1]["gain"] = torch.tensor(3.0)
    points = list(LinearPath(model).inner(*networks, 6))
    evaluator = Evaluator(model, data)
    shared, direct = (evaluator.evaluate(each)["data"] for each in (points, [dict(point) for point in points]))
    assert torch.equal(shared.wrong, direct.wrong)
    assert torch.allclose(shared.loss, direct.loss, rtol=1e-6)


def test_sums_of_parts() -> None:
    a, b, c = torch.randn(3, 5, 4)
    assert torch.equal(combine([(a, 1 - 0.3), (a, 0.3)]), a)
    assert torch.equal(combine([(a, 0.0), (b, 1.0)]), b)
    by_unit = torch.arange(5.0, dtype=torch.float64)
    found = combine([(a, by_unit), (b, -2.0), (c, by_unit)])
    assert torch.allclose(found, by_unit[:, None].float() * (a + c) - 2 * b)
    found = combine([(a, by_unit[:4]), (b, by_unit[:4])], units=-1)
    assert torch.allclose(found, by_unit[:4].float() * (a + b))
    whole = combine([(a, 1.0)])
    assert torch.equal(whole, a)
    assert whole.data_ptr() != a.data_ptr()
