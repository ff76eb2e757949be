"""The signs of units: against every choice of signs there is."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn

from landscape_cli.alignment.align import match_networks
from landscape_cli.alignment.labelling import AxisTable, UnitMatching
from landscape_cli.alignment.signs import choose_signs, signs_of_gains
from landscape_cli.symmetry import Symmetry, flip, permute, random_permutations, random_signs, trace_symmetry
from tests.support.alignment_nets import Net
from tests.support.layers import Net as Body

Pair = tuple[Symmetry, dict[str, Tensor], dict[str, Tensor]]


class Loop(nn.Module):
    """Units that write themselves, so that the sign of one depends on those of the others."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.again, self.last = nn.Linear(3, 5), nn.Linear(5, 5), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.first(x))
        return self.last(torch.tanh(self.again(torch.tanh(self.again(x)))))


def pair(model: nn.Module, inputs: int, seed: int) -> Pair:
    """Return the symmetry of a model, and two networks of it, random."""
    generator = torch.Generator().manual_seed(seed)
    symmetry = trace_symmetry(model.double().eval(), torch.zeros(2, inputs, dtype=torch.float64))
    shapes = {key: tensor.shape for key, tensor in model.state_dict().items()}
    reference, params = (
        {key: torch.randn(shape, generator=generator, dtype=torch.float64) for key, shape in shapes.items()}
        for _ in range(2)
    )
    return symmetry, reference, params


def value(symmetry: Symmetry, reference: dict[str, Tensor], params: dict[str, Tensor], signs: Tensor) -> float:
    """Return the inner product of a network, flipped, with a reference over the tensors of the one sign group."""
    (group,) = symmetry.signs
    flipped = flip(params, symmetry, {group.name: signs.long()})
    return sum(float((reference[name] * flipped[name]).sum()) for name in {axis.tensor for axis in group.axes})


def chosen(symmetry: Symmetry, reference: dict[str, Tensor], params: dict[str, Tensor]) -> Tensor:
    (group,) = symmetry.signs
    matching = UnitMatching(AxisTable(symmetry))
    return choose_signs(group, group.axes, matching, reference, params, {}, cosine=False)


@pytest.mark.parametrize("seed", range(10))
def test_no_signs_are_better(seed: int) -> None:
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))
    symmetry, reference, params = pair(model, 3, seed)
    every = [torch.tensor(signs) for signs in itertools.product((1.0, -1.0), repeat=5)]
    best = max(every, key=lambda signs: value(symmetry, reference, params, signs))
    assert torch.equal(chosen(symmetry, reference, params), best)


@pytest.mark.parametrize("seed", range(10))
def test_no_flip_of_a_unit_is_better_where_they_depend_on_each_other(seed: int) -> None:
    symmetry, reference, params = pair(Loop(), 3, seed)
    signs = chosen(symmetry, reference, params)
    reached = value(symmetry, reference, params, signs)
    assert reached >= value(symmetry, reference, params, torch.ones(5))
    for unit in range(5):
        flipped = signs.clone()
        flipped[unit] = -flipped[unit]
        assert value(symmetry, reference, params, flipped) <= reached + 1e-10


def test_flips_of_an_exact_copy_are_found() -> None:
    for seed in range(10):
        symmetry, reference, _ = pair(Loop(), 3, seed)
        (group,) = symmetry.signs
        planted = torch.tensor([1, -1, -1, 1, -1])
        moved = flip(reference, symmetry, {group.name: planted})
        signs = chosen(symmetry, reference, moved)
        back = flip(moved, symmetry, {group.name: signs.long()})
        assert all(torch.equal(back[key], reference[key]) for key in reference)


def test_correlations_tell_instead_of_weights_where_there_are_any() -> None:
    symmetry, reference, _ = pair(nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)), 3, 0)
    (group,) = symmetry.signs
    matching = UnitMatching(AxisTable(symmetry))
    correlations = torch.diag(torch.tensor([0.5, -0.5, 0.0, 0.9, -0.1], dtype=torch.float64))
    signs = choose_signs(group, group.axes, matching, reference, reference, {}, cosine=True, correlations=correlations)
    assert signs.tolist() == [1, -1, 1, 1, -1]


def test_gains_tell_unless_one_is_zero() -> None:
    net, network = Net("conv blocks", 0), Net("conv blocks", 1)
    table = AxisTable(net.symmetry)
    gains = signs_of_gains(net.params, network.params, table)
    assert gains
    for name, (of_reference, of_network) in gains.items():
        (group,) = (group for group in net.symmetry.signs if group.name == name)
        signs = choose_signs(group, (), UnitMatching(table), net.params, network.params, gains, cosine=True)
        assert torch.equal(signs * of_network, of_reference)
    zeroed = {**net.params, "norm2.weight": net.params["norm2.weight"].clone()}
    zeroed["norm2.weight"][0] = 0
    left = signs_of_gains(zeroed, network.params, table)
    assert gains.keys() - left.keys() == {
        group.name for group in net.symmetry.signs if any(axis.tensor == "norm2.weight" for axis in group.axes)
    }


def test_gains_in_which_other_units_trade_places_do_not_tell() -> None:
    """Weights that a layer of the input modulates are a gain for its outputs; their rows are units of their own."""

    def forward(m: Body, x: Tensor) -> Tensor:
        weights = m.w * m.a(x)[:, None]
        weights = weights / (1 + weights.square().sum(2, keepdim=True))
        return m.o(torch.nn.functional.leaky_relu(weights @ m.c))

    parts = {"w": nn.Parameter(torch.zeros(4, 3)), "c": nn.Parameter(torch.zeros(3))}
    symmetry, network, _ = pair(Body(forward, a=nn.Linear(3, 3), o=nn.Linear(4, 2), **parts), 3, seed=0)
    source = torch.Generator().manual_seed(0)
    for _ in range(4):
        moved = permute(network, symmetry, random_permutations(symmetry, generator=source))
        moved = flip(moved, symmetry, random_signs(symmetry, generator=source))
        found = match_networks(network, moved, symmetry).params
        assert all(torch.allclose(found[name], tensor) for name, tensor in network.items())
