"""Groups of units that are too coarse are told from those that are there, by outputs alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from landscape_cli.symmetry.apart import apart
from landscape_cli.symmetry.checking.completeness import check_completeness
from landscape_cli.symmetry.spec import PermutationGroup
from tests.support.groups_by_hand import axis, cells, checked, with_groups
from tests.support.layers import Case
from tests.support.layers import Net as Body
from tests.support.symmetry_checks import Net, make_net
from tests.support.traded_nets import ALONE, FACTORS, SUMMED


@pytest.fixture(scope="module")
def experts() -> Net:
    """Two experts of three units, in slices of one tensor behind a leading axis; a gate that weighs them."""

    def forward(m: Body, x: Tensor) -> Tensor:
        hidden = torch.einsum("bi,eih->beh", x, m.w[0]).tanh()
        return torch.einsum("beh,eho,be->bo", hidden, m.w[1], m.g(x).softmax(-1))

    torch.manual_seed(0)
    return make_net(Body(forward, w=nn.Parameter(torch.randn(2, 2, 3, 3)), g=nn.Linear(3, 2)), (3,))


OF_EXPERTS = PermutationGroup("experts", 2, (axis("w", 1, 2), axis("g.weight", 0, 2), axis("g.bias", 0, 2)))
OF_BOTH = PermutationGroup(
    "units",
    3,
    (
        cells("w", (0, 3), [[unit] for unit in range(3)]),
        cells("w", (0, 2), [[3 + unit] for unit in range(3)]),
    ),
)
OF_EACH = PermutationGroup(
    "units",
    3,
    (
        cells("w", (0, 1, 3), [[3 * expert + unit] for expert in range(2) for unit in range(3)]),
        cells("w", (0, 1, 2), [[6 + 3 * expert + unit] for expert in range(2) for unit in range(3)]),
    ),
    blocks=2,
)


def test_units_of_all_experts_taken_for_one_are_missed(experts: Net) -> None:
    fine = checked(experts, with_groups(experts, OF_EXPERTS, OF_EACH)).groups
    assert (fine.found, fine.there, fine.wrong) == (2, 2, 0)
    coarse = checked(experts, with_groups(experts, OF_EXPERTS, OF_BOTH)).groups
    assert (coarse.found, coarse.there, coarse.wrong) == (1, 2, 0)
    assert coarse.examples[0].startswith("w[0, 1, :, 1 <-> 2]; w[1, 1, 1 <-> 2, :]")


def test_flips_of_slices_are_counted_whatever_groups_were_found(experts: Net) -> None:
    for groups in ((OF_EXPERTS, OF_EACH), (OF_EXPERTS, OF_BOTH), ()):
        signs = checked(experts, replace(with_groups(experts, *groups), signs=())).signs
        assert (signs.found, signs.there) == (0, 6)


def test_channels_of_both_groups_of_a_convolution_taken_for_one_are_missed() -> None:
    """Of weights that are standardised: what reads them has no gradient where they are equal."""

    def forward(m: Body, x: Tensor) -> Tensor:
        kernel = m.w - m.w.mean((1, 2), keepdim=True)
        kernel = kernel / (m.w.var((1, 2), keepdim=True) + 1e-6).sqrt()
        return m.o(F.gelu(F.conv1d(F.gelu(m.a(x)), kernel, groups=2)).mean(2))

    torch.manual_seed(0)
    net = make_net(Body(forward, a=nn.Conv1d(2, 4, 1), w=nn.Parameter(torch.randn(4, 2, 2)), o=nn.Linear(4, 2)), (2, 4))
    table = [[unit, unit + 2] for unit in range(2)]
    rest = tuple(group for group in net.symmetry.permutations if not any(a.tensor == "a.weight" for a in group.axes))
    coarse = PermutationGroup("a", 2, (cells("a.weight", (0,), table), cells("a.bias", (0,), table), axis("w", 1, 2)))
    found = checked(net, with_groups(net, coarse, *rest)).groups
    assert not found.wrong
    assert found.examples == ("w[{2, 3}, 0 <-> 1, :]; a.weight[2 <-> 3, :, :]; a.bias[2 <-> 3]",)
    assert found.there == 3


@pytest.mark.parametrize("seed", range(2))
def test_exchanges_that_few_networks_keep_by_chance_were_not_missed(seed: int) -> None:
    """Two numbers of a binary row trade places where their signs are alike, which in two networks they may be."""

    def forward(m: Body, x: Tensor) -> Tensor:
        weights = m.a.weight.sign() * m.a.weight.abs().mean(1, keepdim=True)
        return m.o(F.relu(F.linear(x, weights, m.a.bias)))

    torch.manual_seed(0)
    net = make_net(Body(forward, a=nn.Linear(4, 4), o=nn.Linear(4, 2)), (4,), seed=1)
    check = check_completeness(net.model, net.params, net.symmetry, generator=torch.Generator().manual_seed(seed))
    assert (check.groups.found, check.groups.missed, check.groups.wrong) == (1, 0, 0)


@pytest.mark.parametrize("case", [SUMMED["layers"], FACTORS["distances"]])
def test_units_that_trade_places_across_layers_are_missed_where_layers_are_taken_apart(case: Case) -> None:
    torch.manual_seed(0)
    net = make_net(case.make(), case.shape)
    assert not checked(net, net.symmetry).groups.missed
    layers = checked(net, apart(net.symmetry)).groups
    assert (layers.missed, layers.wrong) == (1, 0)
    assert "a.weight" in layers.examples[0]
    assert "c.weight" in layers.examples[0]


@pytest.mark.parametrize("name", ["other functions", "one part through SiLU"])
def test_units_of_unlike_layers_are_not_missed(name: str) -> None:
    torch.manual_seed(0)
    net = make_net(ALONE[name].make(), ALONE[name].shape)
    assert not checked(net, net.symmetry).groups.missed


def test_units_that_a_stack_sums_at_once_trade_places_across_its_matrices() -> None:
    def forward(m: Body, x: Tensor) -> Tensor:
        hidden = torch.einsum("bi,eih->beh", x, m.w[0]).tanh()
        return torch.einsum("beh,eho->bo", hidden, m.w[1])

    torch.manual_seed(0)
    net = make_net(Body(forward, w=nn.Parameter(torch.randn(2, 2, 3, 3))), (3,))
    found = checked(net, net.symmetry).groups
    assert (found.missed, found.wrong) == (1, 0)
