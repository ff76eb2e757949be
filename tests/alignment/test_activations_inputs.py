"""Units are correlated on what each network sees, where two see inputs differently."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from landscape_cli import Preprocessing, align, fold_preprocessing, permute, trace_symmetry, unit_correlations
from landscape_cli.errors import ModelError

X = torch.randn(80, 6, generator=torch.Generator().manual_seed(0)) * torch.tensor([0.1, 0.3, 1, 2, 5, 9])
NONE, COLUMNS = Preprocessing.none(), Preprocessing.columns().fitted(X)


def test_each_network_on_its_own_inputs() -> None:
    """One function, seen from two preparations and permuted: its units correlate wholly, and are found."""
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 3))
    symmetry = trace_symmetry(model, torch.zeros(2, 6))
    reference = dict(model.state_dict())
    permutation = torch.randperm(9)
    folded = fold_preprocessing(model, reference, symmetry, NONE, COLUMNS, X)
    [group] = symmetry.permutations
    moved = permute(folded, symmetry, {group.name: permutation})
    own, other = NONE.apply(X), COLUMNS.apply(X)
    setting = {"method": "activation", "inputs": own}
    found = align(model, reference, moved, symmetry, network_inputs=other, **setting)  # type: ignore[arg-type]
    assert all(torch.allclose(found.params[name], folded[name], atol=1e-6) for name in folded)
    correlations = unit_correlations(model, reference, folded, symmetry, own, network_inputs=other).units[group.name]
    assert torch.allclose(correlations.diagonal(), torch.ones(9, dtype=torch.float64))
    blind = unit_correlations(model, reference, folded, symmetry, own).units[group.name]
    assert not torch.allclose(blind.diagonal(), correlations.diagonal(), atol=1e-2)
    with pytest.raises(ModelError, match="give the same samples"):
        unit_correlations(model, reference, folded, symmetry, own, network_inputs=other[:3])
