"""Hamming distances, shortest paths and midpoints, on random latents, zeros among them."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from fractions import Fraction

import pytest
import torch
from torch import Tensor, nn

from landscape_cli.binary.layers import SignLinear, latent_owners
from landscape_cli.errors import GeometryError
from landscape_cli.geometry.hamming import hamming, midpoint, planned_flips, random_path
from landscape_cli.models.binary import binary_conv, binary_mlp, binary_perceptron, committee
from landscape_cli.network import Params


def shared() -> nn.Module:
    """Two hidden layers with one tensor of latents."""
    model = nn.Sequential(OrderedDict(fc1=SignLinear(7, 7), fc2=SignLinear(7, 7), fc3=SignLinear(7, 1)))
    model.fc2.weight = model.fc1.weight
    return model


MODELS = {
    "perceptron": lambda: binary_perceptron((41,), 1),
    "committee": lambda: committee((9,), 1, hidden=5),
    "mlp": lambda: binary_mlp((2, 5), 3, hidden=(7, 5)),
    "conv": lambda: binary_conv((1, 12, 12), 2, filters=(3, 3), kernel=3, hidden=(5, 5)),
    "shared": shared,
}


def draw(model: nn.Module, seed: int) -> Params:
    """Return random latents, a few of them zero of either sign."""
    source = torch.Generator().manual_seed(seed)
    drawn = {}
    for name, owner in latent_owners(model).items():
        latents = torch.rand(model.get_parameter(name).shape, generator=source) * 2 - 1
        kind = torch.randint(0, 12, latents.shape, generator=source)
        drawn[name] = drawn.get(owner, torch.where(kind == 0, 0.0, torch.where(kind == 1, -0.0, latents)))
    return drawn


def signs(params: Params, model: nn.Module) -> list[int]:
    """Return every sign once, the obvious way."""
    owners = dict.fromkeys(latent_owners(model).values())
    return [1 if value >= 0 else -1 for name in owners for value in params[name].flatten().tolist()]


def differing(a: Sequence[int], b: Sequence[int]) -> set[int]:
    return {k for k, (x, y) in enumerate(zip(a, b, strict=True)) if x != y}


@pytest.fixture(params=MODELS, name="case")
def _case(request: pytest.FixtureRequest) -> tuple[nn.Module, Params, Params]:
    model = MODELS[request.param]()
    return model, draw(model, 1), draw(model, 2)


def test_distance(case: tuple[nn.Module, Params, Params]) -> None:
    model, a, b = case
    found = hamming(a, b, latent_owners(model))
    one, other = signs(a, model), signs(b, model)
    assert (found.flips, found.weights) == (len(differing(one, other)), len(one))
    assert found.fraction == found.flips / found.weights
    dot = sum(x * y for x, y in zip(one, other, strict=True))
    assert found.cosine == pytest.approx(dot / len(one), abs=1e-15)
    assert hamming(a, a, latent_owners(model)).flips == 0
    opposite = {name: torch.where(tensor >= 0, -1.0, 1.0) for name, tensor in a.items()}
    assert hamming(a, opposite, latent_owners(model)).fraction == 1


def test_zero_is_positive(case: tuple[nn.Module, Params, Params]) -> None:
    model, a, _ = case
    positive = {name: torch.where(tensor == 0, 0.5, tensor) for name, tensor in a.items()}
    assert hamming(a, positive, latent_owners(model)).flips == 0
    assert sum(int((a[name].sign() != positive[name].sign()).sum()) for name in a) > 0  # which is why not torch.sign
    negative = {name: torch.where(tensor == 0, -0.5, tensor) for name, tensor in a.items()}
    assert hamming(a, negative, latent_owners(model)).flips > 0


def check_shortest(model: nn.Module, start: Params, networks: Sequence[Params], end: Params, plan: list[int]) -> None:
    """Check that networks lie on a shortest path, after so many flips each."""
    first, last = signs(start, model), signs(end, model)
    assert len(networks) == len(plan)
    flipped: set[int] = set()
    for network, flips in zip(networks, plan, strict=True):
        assert network.keys() == start.keys()
        here = signs(network, model)
        now = differing(first, here)
        assert now >= flipped, "a sign flipped back"
        assert len(now) == flips, "not the planned number of flips"
        assert now <= differing(first, last), "a detour"
        for name, owner in latent_owners(model).items():
            assert set(network[name].unique().tolist()) <= {-1.0, 1.0}
            assert torch.equal(network[name], network[owner])
            assert network[name].shape == start[name].shape
        flipped = now
    assert flips == len(differing(first, last)), "not to the end"
    assert signs(networks[-1], model) == last


@pytest.mark.parametrize("points", [2, 3, 8, 21, 500])
def test_shortest_paths(case: tuple[nn.Module, Params, Params], points: int) -> None:
    model, a, b = case
    latents = latent_owners(model)
    plan = planned_flips(hamming(a, b, latents).flips, points)
    networks = list(random_path(a, b, latents, plan, seed=3, order=4))
    check_shortest(model, a, networks, b, plan)
    again = list(random_path(a, b, latents, plan, seed=3, order=4))
    assert all(torch.equal(x[name], y[name]) for x, y in zip(networks, again, strict=True) for name in x)


def test_what_is_no_shortest_path(case: tuple[nn.Module, Params, Params]) -> None:
    """The controls of the check above: detours, jumps, returns, other ends."""
    model, a, b = case
    latents = latent_owners(model)
    plan = planned_flips(hamming(a, b, latents).flips, 6)
    right = list(random_path(a, b, latents, plan, seed=0, order=0))
    other = list(random_path(a, draw(model, 3), latents, plan[:2], seed=0, order=0))[1]
    same = next(iter(latents))
    agree = (a[same] >= 0) == (b[same] >= 0)
    flipped = torch.where(agree, -right[1][same], right[1][same])
    detour = right[1] | {name: flipped for name, owner in latents.items() if owner == same}
    for wrong in (
        [right[0], right[2], right[1], *right[3:]],
        [*right[:-1], right[-2]],
        [right[0], detour, *right[2:]],
        [right[0], other, *right[2:]],
        [*right[:-1], a],
        [right[0], right[0], *right[2:]],
    ):
        with pytest.raises(AssertionError):
            check_shortest(model, a, wrong, b, plan)
    check_shortest(model, a, right, b, plan)


@pytest.mark.parametrize("distance", [0, 1, 2, 3, 10, 101, 1000003])
def test_planned_flips(distance: int) -> None:
    for points in (2, 3, 4, 11, 21, 40):
        exact = [Fraction(k * distance, points - 1) for k in range(points)]
        assert planned_flips(distance, points) == [math.floor(value + Fraction(1, 2)) for value in exact]
    assert planned_flips(1, 3) == [0, 1, 1]
    assert planned_flips(5, 3) == [0, 3, 5]  # half up, where round() would give 2


def test_path_of_no_flips_and_of_one(case: tuple[nn.Module, Params, Params]) -> None:
    model, a, _ = case
    latents = latent_owners(model)
    check_shortest(model, a, list(random_path(a, a, latents, [0, 0, 0], seed=0, order=0)), a, [0, 0, 0])
    name = next(iter(latents))
    place = int((a[name].flatten() != 0).nonzero()[0])
    flipped = a[name].clone()
    flipped.view(-1)[place] *= -1
    b = dict(a) | {other: flipped for other, owner in latents.items() if owner == name}
    assert hamming(a, b, latents).flips == 1
    plan = planned_flips(1, 5)
    assert plan == [0, 0, 1, 1, 1]
    check_shortest(model, a, list(random_path(a, b, latents, plan, seed=0, order=0)), b, plan)
    middle = midpoint(a, b, latents, seed=0)
    assert hamming(a, middle, latents).flips + hamming(middle, b, latents).flips == 1
    assert hamming(a, midpoint(a, a, latents, seed=0), latents).flips == 0


def order_of_flips(model: nn.Module, a: Params, b: Params, *, seed: int = 0, order: int = 0) -> list[int]:
    """Return the places in the order in which they flip."""
    latents = latent_owners(model)
    every = range(hamming(a, b, latents).flips + 1)
    found: list[int] = []
    for network in random_path(a, b, latents, every, seed=seed, order=order):
        found += sorted(differing(signs(a, model), signs(network, model)) - set(found))
    return found


def test_draws_do_not_depend_on_the_pair() -> None:
    model = MODELS["mlp"]()
    a, b, c = (draw(model, seed) for seed in range(3))
    one, other = order_of_flips(model, a, b), order_of_flips(model, c, b)
    both = set(one) & set(other)
    assert len(both) > 10
    assert [k for k in one if k in both] == [k for k in other if k in both]
    assert one != sorted(one)
    assert order_of_flips(model, b, a) == one
    for seed, order in ((0, 1), (1, 0)):
        assert order_of_flips(model, a, b, seed=seed, order=order) != one


def test_every_sign_is_as_likely_to_flip_first() -> None:
    model = MODELS["perceptron"]()
    a = draw(model, 0)
    b = {name: torch.where(tensor >= 0, -1.0, 1.0) for name, tensor in a.items()}
    first = torch.zeros(41)
    orders = 410
    for order in range(orders):
        first[order_of_flips(model, a, b, order=order)[0]] += 1
    expected = orders / 41
    statistic = float(((first - expected) ** 2 / expected).sum())
    assert statistic < 73.4  # chi-squared of 40 degrees, 1 in 1000
    assert statistic > 0


def test_points_are_lazy_and_stay(case: tuple[nn.Module, Params, Params]) -> None:
    model, a, b = case
    latents = latent_owners(model)
    untouched = {name: tensor.clone() for name, tensor in (a | b).items()}
    walk = random_path(a, b, latents, range(10**9), seed=0, order=0)
    first = next(walk)
    kept = {name: tensor.clone() for name, tensor in first.items()}
    for _ in range(3):
        second = next(walk)
    assert all(torch.equal(first[name], kept[name]) for name in kept)
    assert any(not torch.equal(second[name], kept[name]) for name in kept)
    assert all(torch.equal(tensor, untouched[name]) for name, tensor in (a | b).items())


def test_midpoint(case: tuple[nn.Module, Params, Params]) -> None:
    model, a, b = case
    latents = latent_owners(model)
    distance = hamming(a, b, latents).flips
    middle = midpoint(a, b, latents, seed=5)
    lengths = [hamming(end, middle, latents).flips for end in (a, b)]
    assert sum(lengths) == distance
    assert abs(lengths[0] - lengths[1]) <= 1
    [half] = random_path(a, b, latents, [planned_flips(distance, 3)[1]], seed=5, order=0)
    assert signs(half, model) == signs(middle, model)
    assert signs(midpoint(a, b, latents, seed=5, order=1), model) != signs(middle, model)
    from_start = 0
    for name in latents:
        for u, v, m in zip(*(network[name].flatten().tolist() for network in (a, b, middle)), strict=True):
            if (u >= 0) == (v >= 0):
                assert m == pytest.approx((u + v) / 2, abs=1e-7)
                assert (m >= 0) == (u >= 0)
            else:
                assert m in {u, v}
                from_start += m == u
    assert from_start
    # the control: half-way along the line of latents lies nearer to the end with the larger ones
    larger = {name: 0.01 * tensor for name, tensor in b.items()}
    line = {name: (a[name] + larger[name]) / 2 for name in a}
    assert abs(hamming(a, line, latents).flips - hamming(larger, line, latents).flips) > 1
    again = midpoint(a, larger, latents, seed=5)
    assert signs(again, model) == signs(middle, model)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_signs_survive_the_mean_of_the_smallest_latents(dtype: torch.dtype) -> None:
    tiny = torch.finfo(dtype).smallest_normal * torch.finfo(dtype).eps
    values = torch.tensor([0.0, -0.0, tiny, -tiny, 2 * tiny, -2 * tiny, -3 * tiny, 1.0, -1.0], dtype=dtype)
    assert bool((values[2:] != 0).all())
    a = {"fc1.weight": values.repeat_interleave(9)[None]}
    b = {"fc1.weight": values.repeat(9)[None]}
    latents = {"fc1.weight": "fc1.weight"}
    middle = midpoint(a, b, latents, seed=0)
    assert middle["fc1.weight"].dtype == dtype
    for u, v, m in zip(*(one["fc1.weight"][0].tolist() for one in (a, b, middle)), strict=True):
        if (u >= 0) == (v >= 0):
            assert (m >= 0) == (u >= 0)


def test_shared_latents_count_once() -> None:
    model = shared()
    latents = latent_owners(model)
    assert latents == {"fc1.weight": "fc1.weight", "fc2.weight": "fc1.weight", "fc3.weight": "fc3.weight"}
    a = draw(model, 0)
    assert hamming(a, a, latents).weights == 7 * 7 + 7
    middle = midpoint(a, draw(model, 1), latents, seed=0)
    assert torch.equal(middle["fc1.weight"], middle["fc2.weight"])


def test_other_numbers_are_refused() -> None:
    a, b = ({"fc1.weight": torch.ones(2, 3), "fc1.bias": torch.zeros(2)} for _ in range(2))
    latents = {"fc1.weight": "fc1.weight"}
    with pytest.raises(GeometryError, match=r"'fc1\.bias'.*binary weights alone"):
        hamming(a, b, latents)
    with pytest.raises(GeometryError, match="binary weights alone"):
        next(random_path(a, b, latents, [0], seed=0, order=0))
    with pytest.raises(GeometryError, match="binary weights alone"):
        midpoint(a, b, latents, seed=0)
    whole: dict[str, Tensor] = {"fc1.weight": torch.ones(2, 3), "steps": torch.tensor(3)}
    assert hamming(whole, whole, latents).flips == 0
    with pytest.raises(GeometryError, match="same tensors"):
        hamming(whole, {"fc1.weight": torch.ones(3, 2), "steps": torch.tensor(3)}, latents)
