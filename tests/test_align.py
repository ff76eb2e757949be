"""Alignment: the function is kept, planted relabellings are found (SPEC 3)."""

from __future__ import annotations

import pytest
import torch
from cases import ALL, WIDE, make_case, random_factors
from reference import best_permutation

from landscape_cli.align import align
from landscape_cli.errors import GeometryError
from landscape_cli.geometry import distance
from landscape_cli.normalize import normalize
from landscape_cli.symmetry import permute, random_permutations, rescale


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", ALL)
def test_function_is_kept(name: str, dtype: torch.dtype) -> None:
    case, other = (make_case(name, seed=seed, dtype=dtype) for seed in (1, 2))
    found = align(case.params, other.params, case.symmetry)
    expected = case.outputs(other.params)
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5
    assert (case.outputs(found.params) - expected).abs().max() <= tolerance * expected.abs().max()
    undone = permute(found.params, case.symmetry, {g: p.argsort() for g, p in found.permutations.items()})
    assert all(torch.equal(undone[key], other.params[key]) for key in undone)


@pytest.mark.parametrize("name", WIDE)
def test_planted_relabelling_is_found_every_time(name: str) -> None:
    for seed in range(100):
        case = make_case(name, seed=seed, dtype=torch.float32 if seed % 2 else torch.float64)
        generator = torch.Generator().manual_seed(seed)
        planted = permute(case.params, case.symmetry, random_permutations(case.symmetry, generator=generator))
        found = align(case.params, planted, case.symmetry)
        assert all(torch.equal(found.params[key], case.params[key]) for key in case.params)
        assert distance(case.params, planted, case.symmetry).geodesic > 0.1 or seed % 10
        assert distance(case.params, found.params, case.symmetry).geodesic == 0
        assert all(value == pytest.approx(1.0) for value in found.similarity.values())


@pytest.mark.parametrize("name", WIDE)
def test_planted_relabelling_and_rescaling(name: str) -> None:
    for seed in range(20):
        case = make_case(name, seed=seed)
        generator = torch.Generator().manual_seed(seed)
        planted = permute(case.params, case.symmetry, random_permutations(case.symmetry, generator=generator))
        planted = rescale(planted, case.symmetry, random_factors(case.symmetry, seed, 2.0))
        a, b = (normalize(params, case.symmetry) for params in (case.params, planted))
        assert distance(a, align(a, b, case.symmetry).params, case.symmetry).geodesic < 1e-6
    assert distance(a, b, case.symmetry).geodesic > 0.1


def test_planted_relabelling_of_a_residual_stream() -> None:
    for seed in range(20):
        case = make_case("ResidualNet", seed=seed)
        generator = torch.Generator().manual_seed(seed)
        planted = permute(case.params, case.symmetry, random_permutations(case.symmetry, generator=generator))
        found = align(case.params, planted, case.symmetry)
        assert all(torch.equal(found.params[key], case.params[key]) for key in case.params)


def test_the_first_group_is_matched_best() -> None:
    """Against every permutation there is, for a group whose inputs are settled."""
    case, other = make_case("FunctionalNet", seed=3), make_case("FunctionalNet", seed=4)
    rows = [params["kernel"].flatten(1) for params in (case.params, other.params)]
    units = [r / r.norm(dim=1, keepdim=True) for r in rows]
    found = align(case.params, other.params, case.symmetry)
    assert tuple(found.permutations["kernel"].tolist()) == best_permutation(units[0] @ units[1].T)


def test_similarity_never_falls_in_the_first_group() -> None:
    case, other = make_case("mlp", seed=1), make_case("mlp", seed=2)
    found = align(case.params, other.params, case.symmetry)
    assert found.similarity["fc1"] > found.similarity_before["fc1"]
    again = align(case.params, found.params, case.symmetry)
    assert again.similarity_before == pytest.approx(found.similarity)
    assert all(torch.equal(p, torch.arange(len(p))) for p in again.permutations.values())


def test_unknown_method() -> None:
    case = make_case("mlp")
    with pytest.raises(GeometryError, match="unknown alignment method"):
        align(case.params, case.params, case.symmetry, method="magic")
