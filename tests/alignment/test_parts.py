"""Parts of a network that trade places: matched with all units inside, in pairs and in sets; nothing is made worse."""

from __future__ import annotations

import pytest
import torch

from landscape_cli.alignment.align import match_networks
from landscape_cli.alignment.sets import align_set
from landscape_cli.alignment.verified import align
from landscape_cli.normalization.normalize import normalize_params
from landscape_cli.symmetry import permute, random_permutations
from tests.support.composed import undone
from tests.support.parted_nets import MADE, PARTS
from tests.support.symmetry_checks import Net, make_net, randomised


def made(name: str) -> Net:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make_net(MADE[name](), (3,))


def inner(net: Net, first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> float:
    return sum(float((first[name] * second[name]).sum()) for name in net.symmetry.parameters)


@pytest.mark.parametrize(
    "name", ["in a loop", "routed by number", "slices of parameters", "side by side", "averaged votes"]
)
@pytest.mark.parametrize("seed", range(2))
def test_planted_exchanges_are_undone(name: str, seed: int) -> None:
    assert undone(made(name), seed) == ""


def test_normal_forms_do_not_depend_on_places() -> None:
    net = made("in a loop")
    order = {net.symmetry.modules[0].name: torch.tensor([2, 0, 1])}
    normal = normalize_params(net.params, net.symmetry).params
    moved = normalize_params(permute(net.params, net.symmetry, order), net.symmetry).params
    for name, tensor in permute(normal, net.symmetry, order).items():
        torch.testing.assert_close(moved[name], tensor, rtol=1e-12, atol=0)


def test_networks_apart_come_no_less_near() -> None:
    """Of two networks trained apart, parts that trade places make the inner product larger, or stay."""
    net = made("in a loop")
    for seed in range(3):
        other = randomised(net.model, torch.Generator().manual_seed(seed))
        plain = match_networks(net.params, other, net.symmetry.without_modules).params
        assert inner(net, net.params, match_networks(net.params, other, net.symmetry).params) >= inner(
            net, net.params, plain
        )


def test_proved_with_parts_first() -> None:
    """What `align` says, applied by `permute`, gives the network that it returns."""
    net = made("routed by one-hot vectors")
    planted = permute(
        net.params, net.symmetry, random_permutations(net.symmetry, generator=torch.Generator().manual_seed(4))
    )
    alignment = align(net.model, net.params, planted, net.symmetry)
    assert alignment.proof is not None
    assert sorted(alignment.permutations["experts/parts"].tolist()) == list(range(PARTS))
    for name, tensor in permute(planted, net.symmetry, alignment.permutations).items():
        assert torch.equal(tensor, net.params[name])


@pytest.mark.parametrize("method", ["weight", "cycle"])
def test_sets(method: str) -> None:
    net = made("side by side")
    planted = [
        permute(net.params, net.symmetry, random_permutations(net.symmetry, generator=torch.Generator().manual_seed(k)))
        for k in range(2)
    ]
    aligned = align_set(net.model, [net.params, *planted], net.symmetry, method=method)
    for network in aligned.networks:
        for name, tensor in net.params.items():
            torch.testing.assert_close(network[name], tensor)


def test_similarities_of_parts_are_those_of_all_that_they_hold() -> None:
    net = made("in a loop")
    [group] = net.symmetry.modules
    other = permute(net.params, net.symmetry, {group.name: torch.tensor([1, 2, 0])})
    rows = [
        torch.cat(
            [
                *(params[name].flatten() for name in member),
                *(
                    params[axis.tensor].flatten(1)[k]
                    if params[axis.tensor].ndim > 1
                    else params[axis.tensor][k : k + 1]
                    for axis in group.axes
                ),
            ]
        )
        for params in (net.params, other)
        for k, member in enumerate(group.members)
    ]
    cosines = [float(torch.cosine_similarity(rows[k], rows[k + PARTS], 0)) for k in range(PARTS)]
    alignment = match_networks(net.params, other, net.symmetry)
    assert alignment.similarity_before[group.name] == pytest.approx(sum(cosines) / PARTS)
    assert alignment.similarity[group.name] == pytest.approx(1)
    for aligned in align_set(net.model, [net.params, other], net.symmetry, prove=False).alignments:
        assert aligned.similarity[group.name] == pytest.approx(1)
