"""Signs and matches that wait for each other: planted ones are undone, by absolute values to begin with."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli.alignment import align
from landscape_cli.alignment.align import match_networks
from landscape_cli.alignment.labelling import AxisTable
from landscape_cli.alignment.similarity import Similarity
from landscape_cli.alignment.terms import Kind
from landscape_cli.alignment.unsigned import match_unsigned
from landscape_cli.symmetry import flip, permute, random_permutations, random_signs
from tests.support.layers import Net
from tests.support.symmetry_checks import Net as Checked
from tests.support.symmetry_checks import make_net


def monotone() -> Checked:
    """Weights that are squared: the signs of rows, and those of columns, tell each other's alone."""

    def forward(m: Net, x: Tensor) -> Tensor:
        return F.linear(torch.tanh(F.linear(x, m.a**2, m.b)), m.c.abs())

    shapes = {"a": (5, 3), "b": (5,), "c": (2, 5)}
    return make_net(Net(forward, **{name: nn.Parameter(torch.zeros(shape)) for name, shape in shapes.items()}), (3,))


def undone(net: Checked, seed: int) -> bool:
    source, s = torch.Generator().manual_seed(seed), net.symmetry
    moved = permute(net.params, s, random_permutations(s, generator=source))
    found = match_networks(net.params, flip(moved, s, random_signs(s, generator=source)), s).params
    return all(torch.allclose(found[name], tensor) for name, tensor in net.params.items())


def test_planted_signs_of_rows_and_columns_are_undone() -> None:
    net = monotone()
    assert all(undone(net, seed) for seed in range(5))


def test_no_other_beginning_would_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control."""
    monkeypatch.setattr(align, "match_unsigned", lambda similarity: align.UnitMatching(similarity.axis_table))
    net = monotone()
    assert not all(undone(net, seed) for seed in range(5))


def test_a_match_does_not_depend_on_signs() -> None:
    net = monotone()
    s = net.symmetry
    flipped = flip(net.params, s, random_signs(s, generator=torch.Generator().manual_seed(0)))
    kept = match_unsigned(Similarity(net.params, flipped, AxisTable(s), {}, Kind.COSINE))
    assert all((pairs == torch.arange(len(pairs)).numpy()).all() for pairs in kept.pairs.values())
