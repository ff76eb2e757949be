"""Masks: found by what multiplies what, permuted with the units, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor, nn

from landscape_cli.alignment.verified import align
from landscape_cli.measures.distance import distance
from landscape_cli.normalization.verified import normalize
from landscape_cli.symmetry import Mask, Role, burn_in, flip, permute, random_signs, rescale, trace_symmetry
from landscape_cli.symmetry.transform import random_permutations
from tests.support.cases import random_factors
from tests.support.pruned import MODELS, PRUNINGS, SHAPE, MaskedLinear, burnt_in, by_hand, masks_of, pruned, tensors

INPUT = torch.zeros(2, *SHAPE)


def masked_by_hand(dtype: torch.dtype) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = by_hand().double().eval()
    for name, buffer in list(model.named_buffers()):
        model.get_submodule(name.rpartition(".")[0]).register_buffer("keep", buffer.to(dtype))
    return model


def outputs(model: nn.Module, network: dict[str, Tensor], shape: tuple[int, ...] = SHAPE) -> Tensor:
    x = torch.randn(16, *shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad():
        return torch.func.functional_call(model, network, (x,))


@pytest.mark.parametrize("pruning", PRUNINGS)
@pytest.mark.parametrize("name", MODELS)
def test_pruned_networks_are_their_burnt_in_selves(name: str, pruning: str) -> None:
    """Normalised, aligned and compared, though what masks hide is as large as the rest."""
    model, plain = pruned(name, pruning), MODELS[name]().double().eval()
    networks = [tensors(pruned(name, pruning, seed)) for seed in (0, 1)]
    symmetry, of_plain = trace_symmetry(model, INPUT), trace_symmetry(plain, INPUT)
    assert [group.name for group in symmetry.permutations] == [group.name for group in of_plain.permutations]
    normal = [normalize(model, network, symmetry) for network in networks]
    of_burnt = [normalize(plain, burnt_in(network), of_plain) for network in networks]
    for ours, theirs, before in zip(normal, of_burnt, networks, strict=True):
        assert ours.degenerate == theirs.degenerate
        torch.testing.assert_close(burnt_in(ours.params), theirs.params)
        torch.testing.assert_close(masks_of(ours.params), masks_of(before), rtol=0, atol=0)
    again = normalize(model, normal[0].params, symmetry)
    torch.testing.assert_close(again.params, normal[0].params)
    x = torch.randn(20, *SHAPE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for how in ({}, {"method": "activation", "inputs": x}, {"method": "weight"}):
        ours = align(model, normal[0].params, normal[1].params, symmetry, **how)
        theirs = align(plain, of_burnt[0].params, of_burnt[1].params, of_plain, **how)
        torch.testing.assert_close(dict(ours.permutations), dict(theirs.permutations), rtol=0, atol=0)
        torch.testing.assert_close(burnt_in(ours.params), theirs.params)
        torch.testing.assert_close(ours.similarity, theirs.similarity)
        for mask in masks_of(ours.params).values():
            assert bool(((mask == 0) | (mask == 1)).all())
    found = distance(normal[0].params, ours.params, symmetry).values
    torch.testing.assert_close(dict(found), dict(distance(of_burnt[0].params, theirs.params, of_plain).values))


@pytest.mark.parametrize("name", MODELS)
def test_no_symmetry_of_a_masked_network_is_left(name: str) -> None:
    """Normalised and aligned, it is what it was before a random symmetry; masks are permuted alone."""
    model = pruned(name, "L1")
    network, symmetry = tensors(model), trace_symmetry(model, INPUT)
    generator = torch.Generator().manual_seed(3)
    moved = permute(network, symmetry, random_permutations(symmetry, generator=generator))
    for mask, before in zip(masks_of(moved).values(), masks_of(network).values(), strict=True):
        assert not torch.equal(mask, before)
        assert torch.equal(mask.flatten().sort().values, before.flatten().sort().values)
    moved = rescale(moved, symmetry, random_factors(symmetry, 0, 1.0))
    torch.testing.assert_close(outputs(model, moved), outputs(model, network))
    normal = normalize(model, network, symmetry).params
    back = align(model, normal, normalize(model, moved, symmetry).params, symmetry).params
    torch.testing.assert_close(burn_in(back, symmetry), burn_in(normal, symmetry))
    torch.testing.assert_close(masks_of(back), masks_of(normal), rtol=0, atol=0)
    wrong = dict(moved) | masks_of(network)  # the negative control: masks that stay behind
    assert not torch.allclose(outputs(model, wrong), outputs(model, network))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bool, torch.uint8])
def test_masks_that_the_model_multiplies_by_itself(dtype: torch.dtype) -> None:
    """Of any name and type, whole or one number a unit; flipped units leave them as they are."""
    model = masked_by_hand(dtype)
    network, symmetry = tensors(model), trace_symmetry(model, torch.zeros(2, 5))
    assert symmetry.masks == (
        Mask("0.weight", "0.keep", (0, 1)),
        Mask("2.weight", "2.keep", (0, None)),
        Mask("4.weight", "4.keep", (0, 1)),
    )
    roles = {axis.role for group in symmetry.permutations for axis in group.axes if axis.tensor.endswith("keep")}
    assert roles == {Role.MASK}
    scaled = {axis.axis.tensor for group in symmetry.scales for axis in group.axes}
    flipped = {axis.tensor for group in symmetry.signs for axis in group.axes}
    assert scaled
    assert flipped
    assert not {name for name in scaled | flipped if name.endswith("keep")}
    generator = torch.Generator().manual_seed(0)
    moved = permute(network, symmetry, random_permutations(symmetry, generator=generator))
    moved = flip(
        rescale(moved, symmetry, random_factors(symmetry, 0, 1.0)),
        symmetry,
        random_signs(symmetry, generator=generator),
    )
    for network_ in (moved, burn_in(network, symmetry)):
        torch.testing.assert_close(outputs(model, dict(network_), (5,)), outputs(model, network, (5,)))
    hidden = burn_in(network, symmetry)
    assert all(bool((hidden[name] == 1).all()) for name in masks_of(network))
    assert all(bool((hidden[mask.weight] == 0).any()) for mask in symmetry.masks)


WAYS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "filled": lambda weight, mask: weight.masked_fill(mask == 0, 0.0),
    "filled, not": lambda weight, mask: weight.masked_fill(~mask.bool(), 0.0),
    "chosen": lambda weight, mask: torch.where(mask.bool(), weight, 0.0),
    "complement": lambda weight, mask: weight * (1 - mask.double()),
    "contracted": lambda weight, mask: weight + (mask.double().sum(1) @ weight),
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.bool, torch.int64])
@pytest.mark.parametrize("way", WAYS)
def test_masks_that_mask_otherwise(way: str, dtype: torch.dtype) -> None:
    """They are permuted, and nothing else."""
    model = masked_by_hand(dtype)
    for layer in model:
        layer.masking = WAYS[way]
    network, symmetry = tensors(model), trace_symmetry(model, torch.zeros(2, 5))
    moved = permute(network, symmetry, random_permutations(symmetry, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(outputs(model, dict(moved), (5,)), outputs(model, network, (5,)))
    assert not torch.equal(moved["0.keep"], network["0.keep"])
    normal = normalize(model, moved, symmetry).params
    aligned = align(model, normalize(model, network, symmetry).params, normal, symmetry, method="weight").params
    if way != "contracted":  # then their columns, which are summed, may be in any order
        torch.testing.assert_close(masks_of(aligned), masks_of(network), rtol=0, atol=0)
        torch.testing.assert_close(masks_of(normal), masks_of(moved), rtol=0, atol=0)


def test_what_is_no_mask() -> None:
    """A buffer of other numbers, one that multiplies activations alone, and a parameter that is used without it."""

    class Other(nn.Module):
        def __init__(self, factor: Tensor, *, bare: bool = False) -> None:
            super().__init__()
            self.layer, self.out, self.bare = MaskedLinear(4, 6), nn.Linear(6, 2), bare
            self.layer.keep = factor

        def forward(self, x: Tensor) -> Tensor:
            hidden = self.layer(x).relu()
            return self.out(hidden) + (self.layer.weight.sum() if self.bare else 0)

    half = torch.full((6, 4), 0.5)
    ones = torch.ones(6, 4)
    assert trace_symmetry(Other(ones), torch.zeros(2, 4)).masks
    assert not trace_symmetry(Other(half), torch.zeros(2, 4)).masks
    assert not trace_symmetry(Other(ones, bare=True), torch.zeros(2, 4)).masks
