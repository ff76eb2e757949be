"""The normalised network: same function, idempotent, blind to scale (docs/method.md: Normalize)."""

from __future__ import annotations

import math

import pytest
import torch

from landscape_cli.errors import GeometryError
from landscape_cli.normalization.normalize import is_normalized, normalize_params
from landscape_cli.symmetry import rescale
from tests.support.cases import ALL, CHAINS, make_case, random_factors
from tests.support.reference import normalize_mlp

TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-5}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", ALL)
def test_function_is_kept(name: str, dtype: torch.dtype) -> None:
    case = make_case(name, dtype=dtype)
    result = normalize_params(case.params, case.symmetry)
    expected = result.output_factor * case.outputs(case.params)
    assert (case.outputs(result.params) - expected).abs().max() <= TOLERANCE[dtype] * expected.abs().max()
    assert result.output_factor > 0
    assert all(result.params[key].dtype == dtype for key in case.params)
    wrong_factor = (case.outputs(result.params) - 1.01 * expected).abs().max()
    assert wrong_factor > 1e-3 * expected.abs().max()


@pytest.mark.parametrize("name", ALL)
def test_kept_last_layer_keeps_the_outputs(name: str) -> None:
    case = make_case(name)
    kept = normalize_params(case.params, case.symmetry, keep_last_layer=True).params
    assert torch.allclose(case.outputs(kept), case.outputs(case.params), rtol=0, atol=1e-11)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", ALL)
def test_idempotent(name: str, dtype: torch.dtype) -> None:
    case = make_case(name, dtype=dtype)
    once = normalize_params(case.params, case.symmetry).params
    twice = normalize_params(once, case.symmetry).params
    for key in once:
        assert torch.allclose(once[key], twice[key], rtol=1e-6 if dtype == torch.float32 else 1e-13, atol=0)
    assert not all(torch.allclose(once[key], case.params[key]) for key in once)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", ALL)
def test_forgets_any_rescaling(name: str, seed: int) -> None:
    case = make_case(name, seed=seed)
    moved = rescale(case.params, case.symmetry, random_factors(case.symmetry, seed, 2.0), output=7.0)
    assert not torch.allclose(moved[case.symmetry.weights[0]], case.params[case.symmetry.weights[0]])
    expected, found = (normalize_params(params, case.symmetry).params for params in (case.params, moved))
    for key in expected:
        assert torch.allclose(found[key], expected[key], rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", CHAINS)
def test_units_lie_on_spheres(name: str) -> None:
    case = make_case(name)
    found = normalize_params(case.params, case.symmetry).params
    for sphere in case.symmetry.spheres:
        weight = found[sphere.tensor]
        if sphere.dim is None:
            outputs = case.outputs(found).shape[1]
            assert float(weight.norm()) == pytest.approx(math.sqrt(outputs), rel=1e-12)
        else:
            norms = weight.movedim(sphere.dim, 0).flatten(1).norm(dim=1)
            assert torch.allclose(norms, torch.ones_like(norms), rtol=1e-12)


@pytest.mark.parametrize("name", ["mlp", "mlp-no-bias", "mlp-sign", "mlp-narrow"])
def test_equals_the_slow_way(name: str) -> None:
    case = make_case(name)
    found, expected = normalize_params(case.params, case.symmetry).params, normalize_mlp(case.params)
    for key in expected:
        assert torch.allclose(found[key], expected[key], rtol=1e-12, atol=1e-14)


def test_zero_unit_is_degenerate_and_harmless() -> None:
    case = make_case("mlp")
    case.params["fc1.weight"][3] = 0
    case.params["fc2.weight"][5] = 0
    case.params["fc2.bias"][5] = 0
    result = normalize_params(case.params, case.symmetry)
    assert result.degenerate == {"fc1": (3,), "fc2": (5,)}
    assert not result.params["fc1.weight"][3].any()
    expected = result.output_factor * case.outputs(case.params)
    assert torch.allclose(case.outputs(result.params), expected, atol=1e-12)
    assert abs(float(result.params["fc1.bias"][3])) == pytest.approx(1.0)


def test_what_cannot_be_normalised() -> None:
    case = make_case("mlp")
    with pytest.raises(GeometryError, match="last layer"):
        normalize_params(case.params | {"fc3.weight": torch.zeros(4, 9)}, case.symmetry)
    with pytest.raises(GeometryError, match=r"'fc2\.bias' holds NaN"):
        normalize_params(case.params | {"fc2.bias": torch.full((9,), math.nan)}, case.symmetry)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ALL)
def test_what_is_normalized_is_told_from_what_is_not(name: str, dtype: torch.dtype) -> None:
    case = make_case(name, seed=3, dtype=dtype)
    for keep in (False, True):
        assert is_normalized(normalize_params(case.params, case.symmetry, keep_last_layer=keep).params, case.symmetry)
    assert not is_normalized(case.params, case.symmetry)
    factors = {group.name: torch.full((group.size,), 1.001) for group in case.symmetry.scales}
    normalized = normalize_params(case.params, case.symmetry).params
    assert not is_normalized(rescale(normalized, case.symmetry, factors), case.symmetry)
