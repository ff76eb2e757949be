"""Correlations of units on data."""

from __future__ import annotations

import torch.nn.functional as F

from landscape_cli.alignment.activations import unit_correlations
from tests.support.alignment_nets import Net


def test_correlations_are_those_of_numpy() -> None:
    import numpy as np

    net, other = Net("mlp", 1), Net("mlp", 2)
    other.params["fc1.weight"][2] = 0
    found = unit_correlations(net.model, net.params, other.params, net.symmetry, net.inputs)
    rows = [F.linear(net.inputs, p["fc1.weight"], p["fc1.bias"]) for p in (net.params, other.params)]
    with np.errstate(invalid="ignore"):
        expected = np.corrcoef(rows[0].numpy(), rows[1].numpy(), rowvar=False)[:12, 12:]
    expected[:, 2] = 0
    np.testing.assert_allclose(found.units["fc1"].numpy(), expected, atol=1e-12)
    assert not found.signs


def test_correlations_without_the_sign_where_it_is_free() -> None:
    net = Net("tanh", 0)
    found = unit_correlations(net.model, net.params, net.moved(3), net.symmetry, net.inputs)
    assert all(bool((score >= 0).all()) for score in found.units.values())
    assert all(bool((score < -0.9).any()) for score in found.signs.values())
    assert len(found.units) == len(found.signs) == 2
