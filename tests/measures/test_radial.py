"""Radial profiles: no symmetry changes them, they are what a slow computation finds (docs/method.md: Angular width)."""

from __future__ import annotations

import math
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from landscape_cli import RadialProfiles, Split, radial_profiles
from landscape_cli.errors import GeometryError, LandscapeWarning, ModelError, Remark
from landscape_cli.measures import radial_evaluator
from landscape_cli.measures.radial_evaluator import RadialEvaluator
from landscape_cli.measures.radial_settings import RadialSettings
from landscape_cli.measures.representative import representative
from landscape_cli.models import create_model
from landscape_cli.network import ModelSpec
from landscape_cli.rng import generator
from landscape_cli.symmetry import Symmetry, rescale
from tests.support.binaries import make_binary
from tests.support.cases import make_case, moved, random_factors
from tests.support.normed import make_net
from tests.support.reference import wrong

pytestmark = pytest.mark.filterwarnings("ignore::landscape_cli.errors.Remark")  # of errors that grow too little
DIRECTIONS = ("random", "gradient", "radial")
ANGLES = (3.0, 10.0, 40.0)
Made = tuple[nn.Module, dict[str, Tensor], dict[str, Tensor], Symmetry, tuple[int, ...]]


def resnet() -> Made:
    """A small ResNet20 in float64 with statistics and gains of its own, and another one."""
    spec = ModelSpec("resnet20", {"width": 2, "blocks": 1}, (2, 9, 9), 4)
    net = make_net("resnet20", model=create_model(spec, seed=0))
    other = make_net("resnet20", seed=1, model=create_model(spec, seed=1))
    return net.model, net.params, other.params, net.symmetry, (2, 9, 9)


def make(name: str) -> Made:
    if name == "resnet20":
        return resnet()
    if name in {"mlp", "mlp-sign", "lenet", "ResidualNet"}:
        one, two = make_case(name), make_case(name, seed=1)
    else:
        one, two = make_net(name), make_net(name, seed=1)
    return one.model, one.params, two.params, one.symmetry, tuple(one.inputs.shape[1:])


def data_of(model: nn.Module, params: dict[str, Tensor], shape: tuple[int, ...], count: int = 50) -> Split:
    """Inputs with the labels that a network decides for, but for every seventh."""
    x = torch.randn(count, *shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    logits = torch.func.functional_call(model, params, (x,))
    y = (logits[:, 0] >= 0).long() if logits.shape[1] == 1 else logits.argmax(1)
    y[::7] = 1 - y[::7].clamp(max=1)
    return Split(x, y)


def disguised(params: dict[str, Tensor], symmetry: Symmetry, seed: int) -> dict[str, Tensor]:
    """The same network, permuted, flipped and rescaled at random."""
    return rescale(moved(params, symmetry, seed), symmetry, random_factors(symmetry, seed, 0.5))


def largest_differences(one: RadialProfiles, two: RadialProfiles) -> tuple[float, float]:
    """The largest difference of an error, and that of a loss relative to 1 + loss; NaN must be where NaN is."""
    errors = losses = 0.0
    for a, b in zip(one.profiles, two.profiles, strict=True):
        assert a.direction == b.direction
        for split in a.errors:
            assert torch.equal(a.errors[split].isnan(), b.errors[split].isnan())
            errors = max(errors, float((a.errors[split] - b.errors[split]).abs().nan_to_num(0).max()))
            apart = (a.losses[split] - b.losses[split]).abs() / (1 + a.losses[split])
            losses = max(losses, float(apart.nan_to_num(0).max()))
    return errors, losses


@pytest.mark.parametrize("name", ["mlp", "mlp-sign", "lenet", "chain", "ResidualNet", "residual", "resnet20"])
def test_no_symmetry_changes_it(name: str) -> None:
    model, params, other, symmetry, shape = make(name)
    data = data_of(model, params, shape)
    options: dict[str, Any] = {"symmetry": symmetry, "directions": DIRECTIONS, "angles": ANGLES, "samples": 2}

    def measure(network: dict[str, Tensor], target: dict[str, Tensor]) -> RadialProfiles:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LandscapeWarning)  # a gradient of zero
            return radial_profiles(model, network, data, towards={"other": target}, **options)

    plain = measure(params, other)
    for seed in (1, 2):
        again = measure(disguised(params, symmetry, seed), disguised(other, symmetry, seed + 5))
        errors, losses = largest_differences(plain, again)
        assert errors == 0.0
        assert losses < 1e-9
        for split, width in plain.width.items():
            assert again.width[split].angle == pytest.approx(width.angle, nan_ok=True)


@pytest.mark.parametrize("kind", ["scales", "permutations"])
def test_on_the_numbers_of_the_file_it_would_change(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: without the representative the same draws hit other units, or units of other scales."""
    model, params, _, symmetry, shape = make("mlp")
    data = data_of(model, params, shape)
    moving = rescale(params, symmetry, random_factors(symmetry, 1)) if kind == "scales" else moved(params, symmetry, 1)
    monkeypatch.setattr(radial_evaluator, "representative", lambda model, params, symmetry, **_: dict(params))
    one, two = (
        radial_profiles(model, network, data, symmetry=symmetry, samples=3, angles=ANGLES)
        for network in (params, moving)
    )
    assert largest_differences(one, two)[1] > 1e-3


def test_random_directions_are_what_a_slow_computation_finds() -> None:
    model, params, _, symmetry, shape = make("mlp")
    data = data_of(model, params, shape)
    found = radial_profiles(model, params, data, symmetry=symmetry, samples=3, angles=ANGLES, seed=4, growth=0.01)
    start = representative(model, params, symmetry, source=generator(4, 1))
    for k in range(3):
        source = generator(4, 0, k)
        drawn = {name: torch.randn(start[name].shape, generator=source).double() for name in symmetry.weights}
        for j, degrees in enumerate(ANGLES):
            turned = dict(start)
            for name, noise in drawn.items():
                rows = turned[name].reshape(1, -1) if name == "fc3.weight" else turned[name]
                vectors = noise.reshape(rows.shape)
                moved_rows = []
                for row, vector in zip(rows, vectors, strict=True):
                    way = vector - (vector @ row) / (row @ row) * row
                    way = way * row.norm() / way.norm()
                    angle = math.radians(degrees)
                    moved_rows.append(math.cos(angle) * row + math.sin(angle) * way)
                turned[name] = torch.stack(moved_rows).reshape(turned[name].shape)
            expected = wrong(model, turned, data.x, data.y) / len(data.y)
            assert float(found.profiles[0].errors["data"][j, k]) == pytest.approx(expected)
    assert found.error["data"] == pytest.approx(wrong(model, params, data.x, data.y) / len(data.y))


def test_directions_are_the_same_for_every_network_and_however_many_are_asked_for() -> None:
    model, params, other, symmetry, shape = make("mlp")
    data = data_of(model, params, shape)
    options: dict[str, Any] = {"symmetry": symmetry, "angles": ANGLES}
    many = radial_profiles(model, params, data, samples=4, **options).profiles[0].losses["data"]
    few = radial_profiles(model, params, data, samples=2, **options).profiles[0].losses["data"]
    assert torch.equal(many[:, :2], few)
    assert not torch.equal(many[:, 0], many[:, 1])
    another = radial_profiles(model, params, data, samples=2, seed=1, **options).profiles[0].losses["data"]
    assert not torch.equal(few, another)
    assert not torch.equal(few, radial_profiles(model, other, data, samples=2, **options).profiles[0].losses["data"])


def test_the_gradient_leads_up_and_down() -> None:
    model, params, _, symmetry, shape = make("lenet")
    data = data_of(model, params, shape)
    result = radial_profiles(
        model,
        params,
        data,
        symmetry=symmetry,
        directions=["gradient", "random"],
        angles=(0.01,),
        growth=1e-9,
        samples=8,
    )
    down, up, random = (float(profile.losses["data"].mean()) for profile in result.profiles)
    before = result.mean_loss["data"]
    assert [profile.direction for profile in result.profiles] == ["-gradient", "+gradient", "random"]
    assert down < before < up
    assert abs(random - before) < (up - down) / 4


def test_weights_are_multiplied_and_nothing_else() -> None:
    model, params, _, symmetry, shape = make("mlp")
    data = data_of(model, params, shape)
    result = radial_profiles(model, params, data, symmetry=symmetry, directions=["radial"], factors=(0.5, 1.0, 3.0))
    assert result.width == {}
    for k, factor in enumerate((0.5, 1.0, 3.0)):
        network = {name: tensor * factor if name.endswith("weight") else tensor for name, tensor in params.items()}
        expected = wrong(model, network, data.x, data.y) / len(data.y)
        assert float(result.profiles[0].errors["data"][k, 0]) == pytest.approx(expected)


def test_towards_a_network_and_itself() -> None:
    model, params, other, symmetry, shape = make("mlp")
    data = data_of(model, params, shape)
    options: dict[str, Any] = {"symmetry": symmetry, "directions": [], "angles": ANGLES}
    for method in ("cosine", "weight", "activation"):
        result = radial_profiles(model, params, data, towards={"b.st": other}, align=method, **options)
        assert [profile.direction for profile in result.profiles] == ["b.st"]
        assert not result.profiles[0].errors["data"].isnan().any()
    with pytest.warns(LandscapeWarning, match=r"no direction leads from the network to me: that profile is missing"):
        same = radial_profiles(model, params, data, towards={"me": disguised(params, symmetry, 1)}, **options)
    assert same.profiles[0].errors["data"].shape == (3, 1)
    assert same.profiles[0].errors["data"].isnan().all()


def test_statistics_recomputed() -> None:
    model, params, _, symmetry, shape = make("chain")
    data = data_of(model, params, shape)
    options: dict[str, Any] = {"symmetry": symmetry, "samples": 2, "angles": (5.0, 90.0)}
    kept, anew = (radial_profiles(model, params, data, bn=bn, **options) for bn in ("keep", "recompute"))
    assert largest_differences(kept, anew)[1] > 1e-3
    again = radial_profiles(model, disguised(params, symmetry, 1), data, bn="recompute", **options)
    assert largest_differences(anew, again)[1] < 1e-6  # statistics are computed in float32 or better


def test_what_is_shown() -> None:
    model, params, _, symmetry, shape = make("mlp")
    data = data_of(model, params, shape)
    both = {"test": Split(data.x[:20], data.y[:20]), "train": data}
    with pytest.warns(Remark, match=r"does not grow by 0.9 up to 3 degrees in the mean \(in 0 of 2 directions it does"):
        result = radial_profiles(
            model, params, both, symmetry=symmetry, samples=2, angles=(1.0, 3.0), growth=0.9, loss=True
        )
    body = result.to_dict()
    assert list(body) == [
        *("train_error", "test_error", "train_loss", "test_loss", "profiles", "width", "test_width"),
    ]
    assert body["width"] == {"growth": 0.9, "angle": None, "standard_error": None, "reached": 0, "directions": 2}


def test_progress_ends_at_what_was_promised() -> None:
    model, params, other, symmetry, shape = make("chain")
    data = data_of(model, params, shape)
    for bn in ("keep", "recompute"):
        done: list[int] = []
        settings = RadialSettings(directions=DIRECTIONS, angles=ANGLES, samples=2)
        evaluator = RadialEvaluator(
            model, {"train": data, "test": data}, like=params, symmetry=symmetry, settings=settings, bn=bn
        )
        evaluator.measure(params, {"b": other}, advance=done.append)
        assert sum(done) == evaluator.samples(1)


def test_networks_that_are_refused() -> None:
    net = make_binary("mlp", 0)
    labels = torch.randint(2, (len(net.inputs),), generator=torch.Generator().manual_seed(0))
    with pytest.raises(GeometryError, match="binary, and signs do not turn: use flip_energy"):
        radial_profiles(net.model, net.params, Split(net.inputs, labels))
    model, params, _, symmetry, shape = make("mlp")
    data = data_of(model, params, shape)
    with pytest.raises(ModelError, match="do not fit the model"):
        radial_profiles(model, params, data, symmetry=symmetry, towards={"b": make_case("lenet").params})
    for settings, message in (
        ({"directions": ["sideways"]}, "unknown direction 'sideways': choose random, gradient, radial, or a network"),
        ({"angles": (20.0, 10.0)}, "`angles=` takes degrees that rise, from above 0 to at most 180, not 20,10"),
        ({"angles": (190.0,)}, "at most 180, not 190"),
        ({"factors": (0.0,)}, "`factors=` takes positive numbers, not 0"),
        ({"growth": 0.0}, "`growth=` takes a fraction of samples, above 0 and at most 1, not 0"),
    ):
        with pytest.raises(GeometryError, match=message):
            radial_profiles(model, params, data, symmetry=symmetry, **settings)
