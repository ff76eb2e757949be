"""Binary networks: signs everywhere, exact sums, the gradients of BinaryNet, their symmetries.

See docs/method.md: Binary networks.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from landscape_cli.binary.layers import FixedPoint, binarize, latent_names, to_signs, without_zeros
from landscape_cli.data.datasets import Split
from landscape_cli.errors import ModelError
from landscape_cli.forward.objectives import Classification
from landscape_cli.models import create_model
from landscape_cli.network import ModelSpec
from landscape_cli.samplers import RSGD, Recipe
from landscape_cli.samplers.gradients import one_by_one, together
from landscape_cli.samplers.stack import Stack
from landscape_cli.symmetry import flip, permute, random_permutations, random_signs, trace_symmetry
from tests.support.binaries import NO_SIGNS, SPECS, make_binary
from tests.support.reference import binary_logits
from tests.support.training import CPU, train_rsgd, train_sgd

TYPES = [torch.float32, torch.float64]


@pytest.mark.parametrize("dtype", TYPES)
def test_the_sign_of_zero_is_plus(dtype: torch.dtype) -> None:
    x = torch.tensor([0.0, -0.0, 1e-30, -1e-30, 2.0, -2.0], dtype=dtype)
    assert torch.equal(binarize(x), torch.tensor([1, 1, 1, -1, 1, -1], dtype=dtype))
    assert torch.equal(x, torch.tensor([0.0, -0.0, 1e-30, -1e-30, 2.0, -2.0], dtype=dtype))
    kept = without_zeros({"w": x, "b": x}, ["w"])
    assert torch.equal(binarize(-kept["w"]), -binarize(x))
    assert torch.equal(binarize(kept["w"]), binarize(x))
    assert kept["b"] is x


def test_gradients_pass_straight_through_up_to_one() -> None:
    x = torch.tensor([0.0, 0.3, 1.0, -1.0, 1.0001, -1.0001, 5.0], requires_grad=True)
    slope = torch.arange(1.0, 8.0)
    binarize(x).backward(slope)
    assert torch.equal(x.grad, slope * torch.tensor([1.0, 1, 1, 1, 0, 0, 0]))


def test_the_operators_under_vmap() -> None:
    x = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
    x[0, 0, :2] = torch.tensor([0.0, -0.0])
    for dim in range(3):
        assert torch.equal(torch.func.vmap(binarize, dim, dim)(x), binarize(x))
    learnt = x.clone().requires_grad_(True)
    (torch.func.vmap(binarize)(learnt) * torch.arange(5.0)).sum().backward()
    assert torch.equal(learnt.grad, (x.abs() <= 1) * torch.arange(5.0))
    for even_first in (False, True):
        levels = FixedPoint(even_first=even_first)
        one_by_one = torch.stack([levels(one) for one in x.unbind(1)], 1)
        assert torch.equal(torch.func.vmap(levels, 1, 1)(x), one_by_one)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", SPECS)
def test_outputs_equal_whole_number_arithmetic(name: str, dtype: torch.dtype) -> None:
    net = make_binary(name, 1, dtype, samples=6)
    for key, tensor in net.params.items():
        tensor.flatten()[:3] = torch.tensor([0.0, -0.0, -1e-30])
        assert key in net.symmetry.latents
    expected = torch.from_numpy(binary_logits(net.params, net.inputs, committee=name.startswith("committee")))
    assert torch.equal(net.outputs(net.params), expected)
    other = {key: -tensor for key, tensor in net.params.items()}
    assert not torch.equal(net.outputs(other), expected)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", SPECS)
def test_permuting_and_flipping_change_no_bit(name: str, dtype: torch.dtype) -> None:
    net = make_binary(name, 2, dtype)
    expected = net.outputs(net.params)
    for seed in range(5):
        assert torch.equal(net.outputs(net.moved(seed)), expected)
    assert torch.equal(net.outputs(to_signs(net.params, net.symmetry.latents)), expected)
    assert bool(net.symmetry.signs) == (name not in NO_SIGNS)
    assert net.symmetry.is_binary
    assert net.symmetry.latents == latent_names(net.model)


def flipped(net, unit: int, *places: tuple[str, int]) -> Tensor:  # type: ignore[no-untyped-def]
    params = {key: tensor.clone() for key, tensor in net.params.items()}
    for key, dim in places:
        params[key].select(dim, unit).neg_()
    return net.outputs(params)


def test_signs_that_are_not_free_change_outputs() -> None:
    """Units whose readers have an even fan-in elsewhere are free; a layer that can tie, a vote and max-pooling bind."""
    cases = {
        "committee": [("fc1.weight", 0)],
        "mlp, even": [("fc2.weight", 0), ("fc3.weight", 1)],  # its sums are of 14 products
        "mlp, even first": [("fc2.weight", 0), ("fc3.weight", 1)],
        "conv, 28": [("conv1.weight", 0), ("conv2.weight", 1)],
        "conv, even": [("fc2.weight", 0), ("fc3.weight", 1)],
    }
    for name, places in cases.items():
        net = make_binary(name, 3, samples=400)
        before = net.outputs(net.params)
        units = net.params[places[0][0]].shape[0]
        assert any(not torch.equal(flipped(net, unit, *places), before) for unit in range(units)), name
        bound = {key for key, dim in places if dim == 0}
        assert not any(
            axis.tensor in bound and axis.dims == (0,) for group in net.symmetry.signs for axis in group.axes
        )
    net = make_binary("mlp", 3, samples=400)
    for unit in range(11):
        free = flipped(net, unit, ("fc2.weight", 0), ("fc3.weight", 1))
        assert torch.equal(free, net.outputs(net.params))
        assert not torch.equal(flipped(net, unit, ("fc2.weight", 0)), net.outputs(net.params))


def test_inputs_keep_sums_odd() -> None:
    x = torch.randn(50, 30, generator=torch.Generator().manual_seed(0)) * 3
    for places in (29, 30):
        levels = FixedPoint(even_first=places % 2 == 0)(x[:, :places])
        assert torch.equal(levels, levels.round())
        assert float(levels.abs().max()) == 127
        signs = binarize(torch.randn(places, 40, generator=torch.Generator().manual_seed(1)))
        assert bool(((levels @ signs) % 2 == 1).all())
    assert bool(((FixedPoint(even_first=False)(x) @ binarize(torch.ones(30, 1))) % 2 == 0).all())


@pytest.mark.parametrize("name", ["mlp", "mlp, even", "conv, 28"])
def test_gradients_together_equal_those_one_by_one(name: str) -> None:
    spec = SPECS[name]
    stack = [create_model(spec, seed=seed).state_dict() for seed in range(3)]
    source = torch.Generator().manual_seed(0)
    batches = [
        (torch.randn(9, *spec.input_shape, generator=source), torch.randint(spec.outputs, (9,), generator=source))
        for _ in range(3)
    ]
    found = []
    for way in (one_by_one, together):
        networks = Stack(spec, stack, CPU)
        if way is one_by_one:
            for k in range(3):
                networks.collect(k)
        losses, wrong = way(torch.float32, Classification())(networks, range(3), batches, 1.0, lambda k: None)
        found.append((losses, wrong, networks.gradients))
    assert torch.allclose(found[0][0], found[1][0], rtol=1e-6)
    assert torch.equal(found[0][1], found[1][1])
    assert torch.allclose(found[0][2], found[1][2], rtol=1e-4, atol=1e-6)
    assert float(found[0][2].abs().max()) > 1e-3


def test_latents_stay_where_gradients_pass() -> None:
    spec = ModelSpec("binary-mlp", {"hidden": [15, 11]}, (25,), 2)
    source = torch.Generator().manual_seed(0)
    data = Split(torch.randn(200, 25, generator=source), torch.randint(2, (200,), generator=source))
    recipe = Recipe(epochs=3, learning_rate=20.0, momentum=0.9, batch_size=20)
    plain, centre = (
        train_sgd(spec, data, recipe, seed=0),
        train_rsgd(spec, data, recipe, RSGD(gamma_growth=10.0), seed=0),
    )
    assert max(float(tensor.abs().max()) for tensor in plain.values()) == 1  # so that something was clipped
    assert max(float(tensor.abs().max()) for tensor in centre.values()) <= 1
    continuous = train_sgd(ModelSpec("mlp", {"hidden": [15, 11]}, (25,), 2), data, recipe, seed=0)
    assert max(float(tensor.abs().max()) for tensor in continuous.values()) > 1


def test_training_moves_signs_and_is_what_the_seed_says() -> None:
    spec = SPECS["mlp"]
    source = torch.Generator().manual_seed(0)
    data = Split(torch.randn(300, 25, generator=source), torch.randint(3, (300,), generator=source))
    recipe = Recipe(epochs=20, learning_rate=0.5, momentum=0.9, batch_size=20)
    before = create_model(spec, seed=0)
    one, other = (train_sgd(spec, data, recipe, seed=0) for _ in range(2))
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert any(not torch.equal(binarize(one[key]), binarize(t)) for key, t in before.state_dict().items())
    model = create_model(spec, seed=0)
    with torch.no_grad():
        errors = [
            float((torch.func.functional_call(model, dict(params), (data.x,)).argmax(1) != data.y).float().mean())
            for params in (before.state_dict(), one)
        ]
    assert errors[1] < errors[0] - 0.1


def test_tanh_networks_have_free_signs() -> None:
    model = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 6), nn.Tanh(), nn.Linear(6, 2)).double()
    x = torch.randn(9, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    symmetry = trace_symmetry(model, x[:2])
    assert [group.size for group in symmetry.signs] == [7, 6]
    assert not symmetry.latents
    assert not symmetry.is_binary
    source = torch.Generator().manual_seed(1)
    params = {key: tensor.detach() for key, tensor in model.state_dict().items()}
    signs = random_signs(symmetry, generator=source)
    moved = flip(permute(params, symmetry, random_permutations(symmetry, generator=source)), symmetry, signs)
    assert torch.allclose(torch.func.functional_call(model, moved, (x,)), model(x), rtol=1e-12)
    half = flip(params, symmetry, {symmetry.signs[0].name: signs[symmetry.signs[0].name]})
    half["2.weight"] = params["2.weight"]
    assert not torch.allclose(torch.func.functional_call(model, half, (x,)), model(x), rtol=1e-3)


def test_models_that_cannot_be_exact_are_refused() -> None:
    for name, arguments, shape, outputs, reason in (
        ("committee", {}, (21,), 2, "one output"),
        ("binary-mlp", {"hidden": [9]}, (1 << 18,), 2, "not exact"),
        ("binary-mlp", {"hidden": [0]}, (9,), 2, "positive"),
        ("binary-conv", {}, (9,), 2, "images"),
        ("binary-conv", {}, (1, 8, 8), 2, "too small"),
        ("binary-mlp", {"hidden": 9}, (9,), 2, "a list of whole numbers"),
        ("binary-mlp", {"hidden": [9.5]}, (9,), 2, "a list of whole numbers"),
        ("committee", {"hidden": [9]}, (9,), 1, "one positive whole number"),
        ("committee", {"hidden": 0}, (9,), 1, "one positive whole number"),
        ("binary-conv", {"filters": [5]}, (1, 28, 28), 2, "two numbers of filters"),
        ("binary-conv", {"kernel": 0}, (1, 28, 28), 2, "kernel is one positive"),
        ("binary-conv", {"kernel": 2.5}, (1, 28, 28), 2, "kernel is one positive"),
    ):
        with pytest.raises(ModelError, match=reason):
            create_model(ModelSpec(name, arguments, shape, outputs), seed=0)
