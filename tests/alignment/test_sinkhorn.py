"""The Sinkhorn operator, and permutations learned through it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from landscape_cli import permute, random_permutations
from landscape_cli.alignment.align import match_networks
from landscape_cli.alignment.labelling import AxisTable, UnitMatching
from landscape_cli.alignment.learning import Learning
from landscape_cli.alignment.signs import signs_of_gains
from landscape_cli.alignment.sinkhorn import SinkhornRelaxation, sinkhorn
from tests.support.alignment_nets import NETS, Net


def slowly(logits: Tensor, rounds: int) -> Tensor:
    """Return what the operator is by its definition, in logarithms."""
    for _ in range(rounds):
        logits = logits - logits.logsumexp(dim=-1, keepdim=True)
        logits = logits - logits.logsumexp(dim=-2, keepdim=True)
    return logits.exp()


def test_the_operator_is_what_its_definition_says() -> None:
    source = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(2, 7, 7, generator=source, dtype=torch.float64)
    for rounds in (1, 20):
        torch.testing.assert_close(sinkhorn(logits, rounds), slowly(logits, rounds))
    found = sinkhorn(logits, 200)
    torch.testing.assert_close(found.sum(-1), torch.ones(2, 7, dtype=torch.float64))
    torch.testing.assert_close(found.sum(-2), torch.ones(2, 7, dtype=torch.float64))
    leaf = logits.clone().requires_grad_(True)
    weights = torch.randn(2, 7, 7, generator=source, dtype=torch.float64)
    slopes = [torch.autograd.grad((weights * operator(leaf, 5)).sum(), leaf)[0] for operator in (sinkhorn, slowly)]
    torch.testing.assert_close(slopes[0], slopes[1])


def test_far_logits_stay_finite() -> None:
    far = (1000 * torch.randn(5, 5, generator=torch.Generator().manual_seed(1))).requires_grad_(True)
    found = sinkhorn(far)
    found.square().sum().backward()
    assert bool(found.isfinite().all())
    assert far.grad is not None
    assert bool(far.grad.isfinite().all())


def relaxation_of(net: Net, network: dict[str, Tensor], start: UnitMatching) -> SinkhornRelaxation:
    gains = signs_of_gains(net.params, network, start.axis_table)
    return SinkhornRelaxation(net.params, network, start, gains, Learning(temperature=0.7))


def start_of(net: Net, network: dict[str, Tensor]) -> UnitMatching:
    """Return a matching with permutations and signs that are not the identity: those by cosines."""
    found = match_networks(net.params, network, net.symmetry)
    matching = UnitMatching(AxisTable(net.symmetry))
    order = {name: permutation.numpy() for name, permutation in found.permutations.items()}
    matching.pair(matching.axis_table.nesting.pairs(order))
    signs = {group.name: group for group in net.symmetry.signs}
    for name, group in signs.items():
        own = torch.ones(group.size)
        own[matching.sign_sources(group)] = found.signs[name].float()
        matching.flip(name, own)
    return matching


def applied(matching: UnitMatching, network: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: matching.apply(name, tensor) for name, tensor in network.items()}


@pytest.mark.parametrize("name", NETS)
def test_it_starts_where_it_should_and_is_rounded_to_what_it_learns(name: str) -> None:
    net = Net(name, 0)
    network = net.moved(1)
    start = start_of(net, network)
    relaxation = relaxation_of(net, network, start)
    assert all((relaxation.matching().pairs[key] == pairs).all() for key, pairs in start.pairs.items())
    # logits of a permutation: rounded to the start permuted by it, signs and blocks and all
    planted = random_permutations(net.symmetry, generator=torch.Generator().manual_seed(2))
    groups = [group for group in net.symmetry.permutations if group.size > 1]
    for group, logits in zip(groups, relaxation.parameters(), strict=True):
        rows = torch.arange(group.units)
        with torch.no_grad():
            logits.zero_()
            logits[rows // group.size, rows % group.size, planted[group.name] % group.size] = 20.0
    found = applied(relaxation.matching(), network)
    expected = permute(applied(start, network), net.symmetry, {group.name: planted[group.name] for group in groups})
    for key, tensor in expected.items():
        assert torch.equal(found[key], tensor), key
    soft = relaxation.permuted()
    for key, tensor in expected.items():
        torch.testing.assert_close(soft[key].detach(), tensor, rtol=1e-4, atol=1e-4)
