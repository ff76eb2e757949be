"""The symmetries that tracing finds are true, complete, and nothing is passed over in silence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli.errors import TraceError
from landscape_cli.symmetry import Places, Role, permute, random_permutations, rescale, trace_symmetry
from tests.support.binaries import SPECS, make_binary
from tests.support.cases import ALL, CHAINS, Case, make_case, make_model, random_factors
from tests.support.normed import NORMED, make_net
from tests.support.symmetry_checks import Net, idle_axes

# group: units, by what the architecture is known to have
KNOWN = {
    "mlp": {"fc1": 12, "fc2": 9},
    "mlp-one-layer": {"fc1": 16},
    "mlp-no-bias": {"fc1": 8, "fc2": 8, "fc3": 8},
    "mlp-sign": {"fc1": 10, "fc2": 6},
    "mlp-narrow": {"fc2": 3},
    "lenet": {"conv1": 4, "conv2": 6, "fc1": 15},
    "lenet-no-bias": {"conv1": 3, "conv2": 8, "fc1": 11},
    "lenet-thin": {"conv2": 2, "fc1": 7},
    "FunctionalNet": {"kernel": 5, "first": 6},
    "SequentialNet": {"body.0": 4, "body.5": 6, "head.0": 7},
    "Conv1dNet": {"conv1": 5, "conv2": 6},
    "Conv3dNet": {"conv1": 4, "conv2": 5},
    "ResidualNet": {"embed": 10, "up.0": 12, "up.1": 12},
}
LONE = {"mlp-narrow": {"fc1": 1}, "lenet-thin": {"conv1": 1}}  # alone in their layer: nothing to permute, but a scale


def deviation(case: Case, params: dict[str, Tensor], factor: float = 1.0) -> float:
    expected = factor * case.outputs(case.params)
    return float((case.outputs(params) - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("name", ALL)
def test_groups_are_complete(name: str) -> None:
    symmetry = make_case(name).symmetry
    assert {group.name: group.size for group in symmetry.permutations} == KNOWN[name]
    assert {group.name: group.size for group in symmetry.scales} == KNOWN[name] | LONE.get(name, {})
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
    assert not idle_axes(Net(case.model, case.params, case.symmetry, case.inputs))


@pytest.mark.parametrize("name", CHAINS)
def test_every_weight_is_on_spheres(name: str) -> None:
    case = make_case(name)
    weights = [key for key, tensor in case.params.items() if tensor.ndim > 1]
    assert sorted(case.symmetry.weights) == sorted(weights)
    assert [sphere.dim for sphere in case.symmetry.spheres].count(None) == 1


def test_flatten_makes_units_span_places() -> None:
    """A channel's places lie side by side, or far apart where the channels come last."""
    for name, weight, unit, step in (("lenet", "fc1.weight", 16, 1), ("SequentialNet", "head.0.weight", 1, 6)):
        axes = {axis.tensor: axis for axis in make_case(name).symmetry.permutations[1].axes}
        assert axes[weight].role is Role.OUTGOING
        assert axes[weight].dims == (1,)
        table = np.arange(6)[:, None] * unit + np.arange(16) * step
        assert axes[weight].places == Places(table)


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


@pytest.mark.parametrize(
    ("make", "name"),
    [(make_case, name) for name in ALL]
    + [(make_net, name) for name in NORMED]
    + [(make_binary, name) for name in SPECS],
)
def test_numbers_of_parameters_have_no_part(make: Callable[..., Any], name: str) -> None:
    """Which is why tests of many networks of one structure may share its symmetry."""
    for seed in (3, 4):
        net = make(name, seed=seed)
        net.model.load_state_dict(net.params)
        assert trace_symmetry(net.model, net.inputs[:2]) == net.symmetry


class Wrapped(nn.Module):
    """A linear layer, something in between, a linear layer."""

    def __init__(self, between) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 6), nn.Linear(6, 3)
        self.between = between

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.between(self.first(x)))


UNKNOWN = {
    "aten.renorm": lambda x: x.renorm(2, 0, 1.0),
    "aten.special_bessel_j0": torch.special.bessel_j0,
    "aten._linalg_eigh": lambda x: torch.linalg.eigvalsh(x[:, :, None] * x[:, None]),
}


@pytest.mark.parametrize("word", UNKNOWN)
def test_operator_without_a_rule_fixes_what_reaches_it(word: str) -> None:
    """It is named in a note, and in an error if one is asked for; what it does not touch stays free."""

    class Beside(Wrapped):
        def __init__(self) -> None:
            super().__init__(UNKNOWN[word])
            self.beside, self.end = nn.Linear(4, 5), nn.Linear(5, 3)

        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) + self.end(F.relu(self.beside(x)))

    symmetry = trace_symmetry(Beside(), torch.randn(2, 4))
    assert [(group.name, group.size) for group in symmetry.permutations] == [("beside", 5)]
    assert [(group.name, group.size) for group in symmetry.scales] == [("beside", 5)]
    assert len([note for note in symmetry.notes if word in note]) == 1
    assert any(axis.tensor == "first.weight" and axis.dim == 0 and word in axis.reason for axis in symmetry.fixed)
    with pytest.raises(TraceError, match=word):
        trace_symmetry(Beside(), torch.randn(2, 4), strict=True)


def test_the_module_is_named() -> None:
    class Renormed(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.renorm(2, 0, 1.0)

    with pytest.raises(TraceError, match="in the module 'between'"):
        trace_symmetry(Wrapped(Renormed()), torch.randn(2, 4), strict=True)


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
    assert sorted(group.units for group in symmetry.permutations) == [6]


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
