"""Similarities of units: against sums over entries, afresh and brought up to date."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli.alignment.align import match_networks
from landscape_cli.alignment.labelling import AxisTable, UnitMatching
from landscape_cli.alignment.signs import signs_of_gains
from landscape_cli.alignment.similarity import Similarity
from landscape_cli.alignment.terms import Kind
from landscape_cli.normalization.normalize import normalize_params
from tests.support.alignment_nets import Net
from tests.support.cases import ALL
from tests.support.layers import Net as Layers
from tests.support.symmetry_checks import make_net, random_element


def make(name: str, kind: Kind) -> tuple[Similarity, UnitMatching, Net, Net]:
    net, network = Net(name, 1), Net(name, 2)
    table = AxisTable(net.symmetry)
    gains = signs_of_gains(net.params, network.params, table)
    return Similarity(net.params, network.params, table, gains, kind), UnitMatching(table), net, network


def slow_cosines(reference: Tensor, network: Tensor) -> list[list[float]]:
    """Return the cosines of the rows of two matrices, number by number."""
    result = []
    for row in reference.flatten(1).tolist():
        norm = math.sqrt(math.fsum(x * x for x in row))
        cosines = []
        for column in network.flatten(1).tolist():
            size = math.sqrt(math.fsum(y * y for y in column))
            cosines.append(math.fsum(x * y for x, y in zip(row, column, strict=True)) / (norm * size))
        result.append(cosines)
    return result


def test_cosines_of_incoming_weights() -> None:
    similarity, matching, net, network = make("mlp", Kind.COSINE)
    for name in ("fc1", "fc2"):
        score = similarity.score(name, similarity.writers(name), matching)
        expected = slow_cosines(net.params[f"{name}.weight"], network.params[f"{name}.weight"])
        assert torch.allclose(score, torch.tensor(expected, dtype=torch.float64), atol=1e-12)


def test_without_their_sign_where_it_is_free() -> None:
    similarity, matching, net, network = make("tanh", Kind.COSINE)
    score = similarity.score("layers.0", similarity.writers("layers.0"), matching)
    expected = slow_cosines(net.params["layers.0.weight"], network.params["layers.0.weight"])
    assert torch.allclose(score, torch.tensor(expected, dtype=torch.float64).abs(), atol=1e-12)


def test_inner_products_over_all_that_units_have() -> None:
    similarity, matching, net, network = make("mlp", Kind.WEIGHT)
    matching.pair({"fc2": torch.arange(9).roll(2).numpy()})
    score = similarity.score("fc1", similarity.writers("fc1"), matching)
    for i in range(12):
        for j in range(12):
            expected = float(net.params["fc1.weight"][i] @ network.params["fc1.weight"][j])
            expected += float(net.params["fc1.bias"][i] * network.params["fc1.bias"][j])
            expected += float(net.params["fc2.weight"][:, i] @ network.params["fc2.weight"][:, j].roll(2))
            assert float(score[i, j]) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("name", [*ALL, "attention", "grouped", "normed", "recurrent, tanh", "conv blocks"])
def test_brought_up_to_date_as_if_made_afresh(name: str, kind: Kind) -> None:
    similarity, matching, net, network = make(name, kind)
    generator = torch.Generator().manual_seed(0)
    for step in range(4):
        for group, terms in similarity.terms.items():
            score = similarity.score(group, terms, matching)
            afresh = Similarity(net.params, network.params, similarity.axis_table, similarity.gains, kind)
            expected = afresh.score(group, afresh.terms[group], matching)
            assert torch.allclose(score, expected, atol=1e-10), (group, step)
        for unit_group in net.symmetry.permutations:
            if unit_group.name not in matching.axis_table.nesting.outer and not unit_group.inside:
                matching.pair({unit_group.name: torch.randperm(unit_group.units, generator=generator).numpy()})
        for sign_group in net.symmetry.signs:
            signs = 1.0 - 2 * torch.randint(2, (sign_group.size,), generator=generator)
            matching.flip(sign_group.name, signs)


def test_the_total_by_weight_is_the_inner_product_of_the_networks() -> None:
    similarity, matching, net, network = make("mlp", Kind.WEIGHT)
    expected = sum(float((net.params[key] * network.params[key]).sum()) for key in net.params)
    # the last bias is nobody's: it is the same whatever is permuted
    expected -= float(net.params["fc3.bias"] @ network.params["fc3.bias"])
    assert similarity.total(matching) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("kind", list(Kind))
def test_buffers_do_not_vote(kind: Kind) -> None:
    """Running statistics may be anything; by weights gains and biases count."""
    similarity, matching, net, network = make("conv blocks", kind)
    learned = set(net.symmetry.parameters)
    table, gains = similarity.axis_table, similarity.gains

    def scores(params: dict[str, Tensor]) -> list[Tensor]:
        other = Similarity(net.params, params, table, gains, kind)
        found = [other.score(group, terms, matching) for group, terms in other.terms.items()]
        return [*found, torch.tensor(other.total(matching))]

    assert set(net.params) > learned
    plain = scores(network.params)
    moved = {key: t if key in learned else 5 * t for key, t in network.params.items()}
    assert all(torch.equal(a, b) for a, b in zip(plain, scores(moved), strict=True))
    gained = {key: 5 * t if key in learned and t.ndim == 1 else t for key, t in network.params.items()}
    assert any(not torch.equal(a, b) for a, b in zip(plain, scores(gained), strict=True)) == (kind is Kind.WEIGHT)


def test_the_total_of_cosines_is_that_of_matched_units() -> None:
    similarity, matching, _, _ = make("mlp", Kind.COSINE)
    matching.pair({"fc1": torch.arange(12).flip(0).numpy()})
    total = 0.0
    for name in ("fc1", "fc2"):
        score = similarity.score(name, similarity.writers(name), matching)
        total += sum(float(score[i, j]) for i, j in enumerate(matching.pairs[name]))
    assert similarity.total(matching) == pytest.approx(total, abs=1e-10)


@pytest.mark.parametrize("most", [0, 1500, 1 << 30])
def test_sums_make_room_for_each_other(most: int) -> None:
    """What is kept is what is counted, no more than is meant to be but for the group at hand; scores do not change."""
    similarity, matching, _, _ = make("conv blocks", Kind.COSINE)
    free, _, _, _ = make("conv blocks", Kind.COSINE)
    similarity._most = most
    for _ in range(2):
        for name in similarity.terms:
            found = similarity.score(name, similarity.terms[name], matching)
            assert torch.equal(found, free.score(name, free.terms[name], matching))
            sizes = {key: sum(each.nbytes for each in sums.values()) for key, sums in similarity._sums.items()}
            assert similarity._held == sum(sizes.values())
            assert similarity._held <= max(most, sizes[name])
    assert (len(similarity._sums) == len(similarity.terms)) == (most == 1 << 30)


def generated(m: Any, x: Tensor) -> Tensor:
    """Weights made of a parameter, whose own units have one number each, of norm one and either sign."""
    latent = F.relu(m.h(m.z))
    return m.o(F.relu(F.linear(m.a(x), m.g(latent).view(5, 4), m.gb(latent))))


def test_units_of_one_number_each_are_told_apart_by_what_else_they_have() -> None:
    torch.manual_seed(0)
    layers = {"a": (3, 4), "h": (2, 3), "g": (3, 20), "gb": (3, 5), "o": (5, 2)}
    parts = {name: nn.Linear(*sizes) for name, sizes in layers.items()}
    net = make_net(Layers(generated, z=nn.Parameter(torch.randn(2)), **parts), (3,))
    reference = normalize_params(net.params, net.symmetry).params
    for seed in range(8):
        moved = normalize_params(random_element(net, seed, spread=2.0)[0], net.symmetry).params
        found = match_networks(reference, moved, net.symmetry).params
        assert all(torch.allclose(found[name], tensor, atol=1e-9) for name, tensor in reference.items())
