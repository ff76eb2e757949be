"""What is fixed is fixed for a reason that is true, and in words."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from layers import Net
from symmetry_checks import make_net
from torch import Tensor, nn

from landscape_cli.symmetry import Symmetry


def traced(body, shape: tuple[int, ...] = (12,), **parts) -> Symmetry:  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    return make_net(Net(body, **parts), shape).symmetry


def reasons(symmetry: Symmetry, tensor: str, dim: int) -> set[str]:
    return {axis.reason for axis in symmetry.fixed if (axis.tensor, axis.dim) == (tensor, dim)}


def patches(m: Net, x: Tensor) -> Tensor:
    return m.o(F.relu(m.a(x.view(-1, 4, 3))).mean(1))


READING = {
    "flattened": (lambda m, x: m.o(F.relu(m.a(x.flatten(1)))), (2, 2, 3), 12),
    "in patches": (patches, (12,), 3),
    "in patches of an image": (
        lambda m, x: m.o(F.relu(m.a(F.pixel_unshuffle(x, 2).flatten(2).transpose(1, 2))).mean(1)),
        (2, 4, 4),
        8,
    ),
    "beside itself": (lambda m, x: m.o(F.relu(m.a(torch.cat([x, x.flip(1)], 1)))), (6,), 12),
    "unfolded": (lambda m, x: m.o(F.relu(m.a(F.unfold(x, 2).transpose(1, 2))).mean(1)), (2, 4, 4), 8),
    "unfolded with padding": (
        lambda m, x: m.o(F.relu(m.a(F.unfold(x, 2, padding=1, stride=2).transpose(1, 2))).mean(1)),
        (2, 4, 4),
        8,
    ),
    "in windows": (lambda m, x: m.o(F.relu(m.a(x.unfold(1, 3, 1))).mean(1)), (6,), 3),
    "in windows of an image": (
        lambda m, x: m.o(
            F.relu(m.a(x.unfold(2, 2, 2).unfold(3, 2, 2).permute(0, 2, 3, 1, 4, 5).flatten(3))).mean((1, 2))
        ),
        (2, 4, 4),
        8,
    ),
}


@pytest.mark.parametrize("name", READING)
def test_what_reads_the_input_is_fixed_as_the_input(name: str) -> None:
    body, shape, width = READING[name]
    symmetry = traced(body, shape, a=nn.Linear(width, 6), o=nn.Linear(6, 3))
    assert reasons(symmetry, "a.weight", 1) == {"input"}
    assert [group.name for group in symmetry.permutations] == ["a"]
    assert not symmetry.notes
