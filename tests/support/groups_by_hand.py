"""Groups of units written down by hand, and what outputs say of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from landscape_cli.symmetry import Symmetry
from landscape_cli.symmetry.checking.completeness import Completeness, check_completeness
from landscape_cli.symmetry.spec import Axis, PermutationGroup, Places, Role
from tests.support.symmetry_checks import Net


def checked(net: Net, symmetry: Symmetry) -> Completeness:
    """Return what a check says of a symmetry."""
    return check_completeness(net.model, net.params, symmetry, generator=torch.Generator().manual_seed(0))


def axis(tensor: str, dim: int, size: int) -> Axis:
    """Return an axis along which each unit has one place."""
    return cells(tensor, (dim,), [[unit] for unit in range(size)])


def cells(tensor: str, dims: tuple[int, ...], table: list[list[int]]) -> Axis:
    """Return axes along which each unit has these places."""
    return Axis(tensor, dims, Role.INCOMING, Places(np.array(table)))


def with_groups(net: Net, *groups: PermutationGroup) -> Symmetry:
    """Return a network's symmetry with other groups of units."""
    return replace(net.symmetry, permutations=groups)
