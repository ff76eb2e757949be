"""The cosines of matched units: by groups, in all, and each computed once."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from landscape_cli.alignment import cosines
from landscape_cli.alignment.align import Alignment
from landscape_cli.alignment.cosines import Cosines, mean_cosine
from landscape_cli.alignment.cycle import matching_of
from landscape_cli.alignment.labelling import AxisTable, UnitMatching
from landscape_cli.symmetry import Axis, Places, Role, flip, permute, random_permutations, random_signs
from tests.support.alignment_nets import Net


def test_the_mean_is_over_units() -> None:
    source = torch.Generator().manual_seed(0)
    reference, network = (torch.randn(5, 4, generator=source, dtype=torch.float64) for _ in range(2))
    network[3] = 0  # a vector of zeros has no direction
    axis = Axis("w", (0,), Role.INCOMING, Places(torch.arange(5)[:, None].numpy()))
    found = mean_cosine({"w": reference}, {"w": network}, {"g": [axis], "none": []})
    assert found == {"g": pytest.approx(float(F.cosine_similarity(reference, network).mean()))}


def test_numbers_of_a_unit_each_are_one_vector() -> None:
    gains, doubled = torch.tensor([1.0, -2.0, 3.0]), torch.tensor([2.0, -4.0, 6.0])
    axis = Axis("gain", (0,), Role.GAIN, Places(torch.arange(3)[:, None].numpy()))
    assert mean_cosine({"gain": gains}, {"gain": doubled}, {"g": [axis]}) == {"g": pytest.approx(1.0)}
    assert mean_cosine({"gain": gains}, {"gain": gains.flip(0)}, {"g": [axis]})["g"] == pytest.approx(10 / 14)


@pytest.mark.parametrize("name", ["mlp", "conv blocks", "tanh", "attention"])
def test_what_is_kept_is_what_would_be_computed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bits of the network permuted, in whatever order matchings are asked for; no tensor is made twice."""
    net, network = Net(name, 1), Net(name, 2)
    writers = {group.name: group.writers for group in net.symmetry.permutations}
    axes = [axis for group in net.symmetry.permutations for axis in group.writers]
    source, cases = torch.Generator().manual_seed(0), []
    for _ in range(3):
        permutations = random_permutations(net.symmetry, generator=source)
        signs = random_signs(net.symmetry, generator=source)
        moved = flip(permute(network.params, net.symmetry, permutations), net.symmetry, signs)
        matching = matching_of(Alignment(moved, permutations, signs, {}, {}), AxisTable(net.symmetry))
        cases.append((matching, mean_cosine(net.params, moved, writers)))
    made, apply = [], UnitMatching.apply

    def noted(matching: UnitMatching, key: str, *rest: Any, **options: Any) -> Any:
        made.append(key)
        return apply(matching, key, *rest, **options)

    monkeypatch.setattr(UnitMatching, "apply", noted)
    kept = Cosines(net.params, network.params)
    for matching, expected in (*cases, *cases[::-1]):
        assert kept.means(matching.copy(), writers) == expected
        total = kept.total(matching, axes)
        assert total == Cosines(net.params, network.params).total(matching, axes)
    assert len({tuple(expected.values()) for _, expected in cases}) == 3
    made.clear()
    assert kept.means(cases[1][0], writers) == cases[1][1]
    assert not made
    monkeypatch.setattr(cosines, "STATES", 1)
    fresh = Cosines(net.params, network.params)
    assert all(fresh.means(matching, writers) == expected for matching, expected in (*cases, *cases))
    assert made
