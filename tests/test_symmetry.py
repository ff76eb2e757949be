"""The symmetries that tracing finds are true, complete, and nothing is passed over in silence."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from cases import ALL, CHAINS, Case, make_case, make_model, random_factors
from torch import Tensor, nn

from landscape_cli.errors import TraceError
from landscape_cli.symmetry import Role, permute, random_permutations, rescale, trace_symmetry

# group: units, by what the architecture is known to have
KNOWN = {
    "mlp": {"fc1": 12, "fc2": 9},
    "mlp-one-layer": {"fc1": 16},
    "mlp-no-bias": {"fc1": 8, "fc2": 8, "fc3": 8},
    "mlp-sign": {"fc1": 10, "fc2": 6},
    "mlp-narrow": {"fc1": 1, "fc2": 3},
    "lenet": {"conv1": 4, "conv2": 6, "fc1": 15},
    "lenet-no-bias": {"conv1": 3, "conv2": 8, "fc1": 11},
    "lenet-thin": {"conv1": 1, "conv2": 2, "fc1": 7},
    "FunctionalNet": {"kernel": 5, "first": 6},
    "SequentialNet": {"body.0": 4, "body.5": 6, "head.0": 7},
    "Conv1dNet": {"conv1": 5, "conv2": 6},
    "Conv3dNet": {"conv1": 4, "conv2": 5},
    "ResidualNet": {"embed": 10, "up.0": 12, "up.1": 12},
}


def deviation(case: Case, params: dict[str, Tensor], factor: float = 1.0) -> float:
    expected = factor * case.outputs(case.params)
    return float((case.outputs(params) - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("name", ALL)
def test_groups_are_complete(name: str) -> None:
    symmetry = make_case(name).symmetry
    assert {group.name: group.size for group in symmetry.permutations} == KNOWN[name]
    assert {group.name: group.size for group in symmetry.scales} == KNOWN[name]
    assert symmetry.output


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("seed", range(3))
def test_random_symmetry_keeps_the_function(name: str, seed: int) -> None:
    case = make_case(name, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    moved = permute(case.params, case.symmetry, random_permutations(case.symmetry, generator=generator))
    moved = rescale(moved, case.symmetry, random_factors(case.symmetry, seed), output=3.5)
    assert deviation(case, moved, 3.5) < 1e-12
    assert any(not torch.equal(moved[key], case.params[key]) for key in moved)


@pytest.mark.parametrize("name", ALL)
def test_each_axis_matters(name: str) -> None:
    """Negative control: leaving any one axis out of any group changes the function."""
    case = make_case(name)
    for group in case.symmetry.permutations:
        if group.size == 1:
            continue
        shift = {group.name: torch.arange(group.size).roll(1)}
        for left_out in group.axes:
            axes = tuple(axis for axis in group.axes if axis is not left_out)
            broken = type(case.symmetry)((type(group)(group.name, group.size, axes),), (), (), 0, (), (), ())
            assert deviation(case, permute(case.params, broken, shift)) > 1e-3
    for group in case.symmetry.scales:
        for left_out in group.axes:
            axes = tuple(axis for axis in group.axes if axis is not left_out)
            broken = type(case.symmetry)((), (type(group)(group.name, group.size, axes),), (), 0, (), (), ())
            factors = {group.name: torch.full((group.size,), 2.0)}
            assert deviation(case, rescale(case.params, broken, factors)) > 1e-3


@pytest.mark.parametrize("name", CHAINS)
def test_every_weight_is_on_spheres(name: str) -> None:
    case = make_case(name)
    weights = [key for key, tensor in case.params.items() if tensor.ndim > 1]
    assert sorted(case.symmetry.weights) == sorted(weights)
    assert [sphere.dim for sphere in case.symmetry.spheres].count(None) == 1


def test_flatten_makes_units_span_places() -> None:
    axes = {axis.tensor: axis for axis in make_case("lenet").symmetry.permutations[1].axes}
    assert (axes["fc1.weight"].repeat, axes["fc1.weight"].tiles) == (16, 1)
    assert axes["fc1.weight"].role is Role.OUTGOING
    axes = {axis.tensor: axis for axis in make_case("SequentialNet").symmetry.permutations[1].axes}
    assert (axes["head.0.weight"].repeat, axes["head.0.weight"].tiles) == (1, 16)


def test_tracing_leaves_the_model_as_it_was() -> None:
    model, shape = make_model("SequentialNet")
    model.train()
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    trace_symmetry(model, torch.randn(2, *shape))
    assert all(module.training for module in model.modules())
    assert all(torch.equal(before[key], tensor) for key, tensor in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_one_example_is_enough() -> None:
    for name in ALL:
        model, shape = make_model(name)
        one, two = (trace_symmetry(model, torch.zeros(count, *shape)) for count in (1, 2))
        assert one == two


class Wrapped(nn.Module):
    """A linear layer, something in between, a linear layer."""

    def __init__(self, between) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 6), nn.Linear(6, 3)
        self.between = between

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.between(self.first(x)))


@pytest.mark.parametrize(
    ("between", "word"),
    [
        (F.gelu, "aten.gelu"),
        (lambda x: torch.fft.fft(x).real, "aten._fft"),
        (lambda x: x.sort()[0], "aten.sort"),
        (lambda x: x[:, [0, 1, 2, 3, 4, 5]], "aten.index"),
        (lambda x: x[:, :3].repeat(1, 2), "slice"),
    ],
)
def test_operator_without_a_rule_is_named(between, word: str) -> None:
    with pytest.raises(TraceError, match=word):
        trace_symmetry(Wrapped(between), torch.randn(2, 4))


def test_the_module_is_named() -> None:
    with pytest.raises(TraceError, match="in the module 'between'"):
        trace_symmetry(Wrapped(nn.GELU()), torch.randn(2, 4))


def test_shift_leaves_no_scale() -> None:
    symmetry = trace_symmetry(Wrapped(lambda x: F.relu(x + 1.0)), torch.randn(2, 4))
    assert [group.size for group in symmetry.permutations] == [6]
    assert not symmetry.scales
    symmetry = trace_symmetry(Wrapped(lambda x: x.clamp(0, 6)), torch.randn(2, 4))
    assert not symmetry.scales
    symmetry = trace_symmetry(Wrapped(lambda x: 2 * F.relu(x)), torch.randn(2, 4))
    assert len(symmetry.scales) == 1


def test_cut_by_reshape_keeps_only_what_survives() -> None:
    """Units seen as 2 x 3 may be permuted within those factors only."""
    case_model = Wrapped(lambda x: x.view(-1, 2, 3).relu().view(-1, 6)).double()
    symmetry = trace_symmetry(case_model, torch.randn(2, 4).double())
    params = case_model.state_dict()
    generator = torch.Generator().manual_seed(0)
    moved = permute(params, symmetry, random_permutations(symmetry, generator=generator))
    x = torch.randn(5, 4).double()
    assert torch.allclose(torch.func.functional_call(case_model, moved, (x,)), case_model(x), atol=1e-12)
    assert [group.size for group in symmetry.permutations] == [2, 3]


def branching(x: Tensor) -> Tensor:
    return x.relu() if x.sum() > 0 else x


class Dict(Wrapped):
    def forward(self, x: Tensor):
        return {"logits": super().forward(x)}


class Unused(Wrapped):
    def __init__(self) -> None:
        super().__init__(F.relu)
        self.spare = nn.Linear(2, 2)


class Mutating(Wrapped):
    def forward(self, x: Tensor) -> Tensor:
        self.first.weight.mul_(1.0)
        return super().forward(x)


@pytest.mark.parametrize(
    ("model", "word"),
    [
        (Dict(F.relu), "returns a dict"),
        (Unused(), "never uses the parameter 'spare"),
        (Wrapped(branching), "data-dependent"),
        (Mutating(F.relu), "changes the parameter 'first.weight' in place"),
        (Wrapped(lambda x: torch.where(x > 0, x, 0.0)), "aten.where"),
    ],
)
def test_hostile_models(model: nn.Module, word: str) -> None:
    with pytest.raises(TraceError, match=word):
        trace_symmetry(model, torch.randn(2, 4))


def test_shared_weights() -> None:
    """One tensor under two names moves under both, and carries both layers' constraints."""
    model = nn.Sequential(
        nn.Linear(4, 4, bias=False), nn.ReLU(), nn.Linear(4, 4, bias=False), nn.ReLU(), nn.Linear(4, 2)
    )
    model[2].weight = model[0].weight
    model.double()
    x = torch.randn(5, 4).double()
    symmetry = trace_symmetry(model, x)
    params = model.state_dict()
    generator = torch.Generator().manual_seed(0)
    moved = permute(params, symmetry, random_permutations(symmetry, generator=generator))
    moved = rescale(moved, symmetry, random_factors(symmetry, 0))
    assert torch.allclose(torch.func.functional_call(model, moved, (x,), tie_weights=False), model(x), atol=1e-12)
