"""Soft permutations: permutations where matrices are, means of them where matrices are means, differentiable."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from landscape_cli.symmetry import Symmetry, permute, permute_softly, random_permutations
from tests.support.alignment_nets import NETS, Net


def matrices_of(symmetry: Symmetry, permutations: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the matrix of each block, built entry by entry."""
    result = {}
    for group in symmetry.permutations:
        matrix = torch.zeros(group.blocks, group.size, group.size, dtype=torch.float64)
        for unit, source in enumerate(permutations[group.name].tolist()):
            block = unit // group.size
            assert source // group.size == block
            matrix[block, unit % group.size, source % group.size] = 1
        result[group.name] = matrix
    return result


@pytest.mark.parametrize("name", NETS)
def test_matrices_of_permutations_permute(name: str) -> None:
    net = Net(name, 0)
    source = torch.Generator().manual_seed(1)
    permutations = random_permutations(net.symmetry, generator=source)
    soft = permute_softly(net.params, net.symmetry, matrices_of(net.symmetry, permutations))
    hard = permute(net.params, net.symmetry, permutations)
    assert soft.keys() == hard.keys()
    for key, tensor in hard.items():
        assert torch.equal(soft[key], tensor), key
    assert any(not torch.equal(hard[key], tensor) for key, tensor in net.params.items())  # something moved


def test_means_of_matrices_are_means_where_a_group_is_alone() -> None:
    net = Net("mlp", 0)
    group = net.symmetry.permutations[0]
    source = torch.Generator().manual_seed(2)
    pair = [random_permutations(net.symmetry, generator=source) for _ in range(2)]
    matrices = [matrices_of(net.symmetry, permutations)[group.name] for permutations in pair]
    mixed = permute_softly(net.params, net.symmetry, {group.name: 0.25 * matrices[0] + 0.75 * matrices[1]})
    ends = [permute(net.params, net.symmetry, {group.name: p[group.name]}) for p in pair]
    for key, tensor in mixed.items():
        torch.testing.assert_close(tensor, 0.25 * ends[0][key] + 0.75 * ends[1][key])
    untouched = {key for key in net.params if key not in {axis.tensor for axis in group.axes}}
    assert untouched
    assert all(mixed[key] is net.params[key] for key in untouched)


@pytest.mark.parametrize("name", ["attention", "recurrent", "grouped", "conv blocks"])
def test_gradients_are_those_of_differences(name: str) -> None:
    net = Net(name, 0)
    source = torch.Generator().manual_seed(3)
    start = {
        group.name: torch.rand(group.blocks, group.size, group.size, generator=source, dtype=torch.float64)
        for group in net.symmetry.permutations
    }
    weights = {
        key: torch.randn(tensor.shape, generator=source, dtype=torch.float64)
        for key, tensor in net.params.items()
        if tensor.is_floating_point()
    }

    def value(matrices: dict[str, Tensor]) -> Tensor:
        soft = permute_softly(net.params, net.symmetry, matrices)
        return torch.stack([(weight * soft[key]).sum() for key, weight in weights.items()]).sum()

    leaves = {key: matrix.clone().requires_grad_(True) for key, matrix in start.items()}
    slopes = torch.autograd.grad(value(leaves), list(leaves.values()))
    for key, slope in zip(leaves, slopes, strict=True):
        step = torch.randn(start[key].shape, generator=source, dtype=torch.float64)
        far, near = (value(start | {key: start[key] + sign * 1e-4 * step}) for sign in (1, -1))
        torch.testing.assert_close((far - near) / 2e-4, (slope * step).sum(), rtol=1e-5, atol=1e-6)
