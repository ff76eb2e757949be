"""Eigenvalues, quadratic forms and Lanczos steps against matrices that are known whole (docs/method.md: Curvature)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from landscape_cli.measures import spectrum
from landscape_cli.measures.spectrum import (
    NotFiniteError,
    end_of_spectrum,
    lanczos,
    quadratic_form,
    vectors_of_eigenvalues,
    vectors_of_quadrature,
)


class Known:
    """A matrix that is known, as products with vectors."""

    def __init__(self, matrix: NDArray[Any], dtype: str = "float64") -> None:
        self.matrix, self.size, self.dtype, self.products = matrix, len(matrix), np.dtype(dtype), 0

    def product(self, vector: NDArray[Any]) -> NDArray[np.float64]:
        assert vector.dtype == self.dtype
        self.products += 1
        return self.matrix @ vector.astype(float)


def with_eigenvalues(values: list[float] | NDArray[Any], seed: int = 0) -> NDArray[Any]:
    size = len(values)
    basis, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(size, size)))
    return (basis * np.asarray(values)) @ basis.T


def start(size: int, dtype: str = "float64") -> NDArray[Any]:
    return np.random.default_rng(1).choice([-1.0, 1.0], size).astype(dtype)


SPREAD = np.concatenate([np.linspace(-1, 1, 57), [3.0, 5.0, 9.0]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", [1.0, 1e-9])
@pytest.mark.parametrize(("least", "count"), [(False, 1), (False, 3), (True, 1)])
def test_ends_of_a_spectrum(dtype: str, scale: float, least: bool, count: int) -> None:
    """However small eigenvalues are, which ARPACK alone takes for converged at once."""
    matrix = Known(scale * with_eigenvalues(SPREAD), dtype)
    ends = end_of_spectrum(matrix, count, start(60, dtype), least=least, tolerance=1e-4, seed=0)
    expected = SPREAD[:count] if least else np.sort(SPREAD)[::-1][:count]
    assert ends.values == pytest.approx(scale * expected, rel=1e-4)
    assert ends.converged == (True,) * count
    assert max(ends.residuals) <= 1.1e-4 * scale * abs(expected).max()
    assert len(ends.values) == len(ends.residuals) == count


def test_residuals_bound_the_error_at_a_loose_tolerance() -> None:
    values = np.linspace(0, 1, 80) ** 0.5
    for count in (1, 4):
        ends = end_of_spectrum(Known(with_eigenvalues(values)), count, start(80), least=False, tolerance=0.05, seed=0)
        assert all(ends.converged)
        assert max(ends.residuals) > 1e-6  # not exact, so that the bound has something to bound
        for value, residual in zip(ends.values, ends.residuals, strict=True):
            assert min(abs(value - values)) <= residual + 1e-12


@pytest.mark.parametrize("size", [1, 2, 20])
def test_small_matrices_are_solved_whole(size: int) -> None:
    values = np.arange(size) - 1.0
    matrix = Known(with_eigenvalues(values))
    ends = end_of_spectrum(matrix, size, start(size), least=False, tolerance=0.01, seed=0)
    assert ends.values == pytest.approx(values[::-1], abs=1e-9)
    assert max(ends.residuals) < 1e-9
    assert matrix.products == size
    assert end_of_spectrum(matrix, 1, start(size), least=True, tolerance=0.01, seed=0).values == pytest.approx([-1])


def test_zero_and_low_rank() -> None:
    """Where the space of the start vector is complete after one step, or a few."""
    zero = end_of_spectrum(Known(np.zeros((40, 40))), 2, start(40), least=False, tolerance=0.01, seed=0)
    assert zero == ((0.0, 0.0), (0.0, 0.0), (True, True))
    low = Known(with_eigenvalues([4.0, 2.0, -3.0] + [0.0] * 37))
    for least, expected in ((False, [4, 2]), (True, [-3, 0])):
        ends = end_of_spectrum(low, 2, start(40), least=least, tolerance=1e-6, seed=0)
        assert ends.values == pytest.approx(expected, abs=1e-6)
        again = end_of_spectrum(low, 2, start(40), least=least, tolerance=1e-6, seed=0)
        assert ends == again


class Diagonal:
    """A diagonal matrix of any size, its products rounded."""

    def __init__(self, values: NDArray[Any], dtype: str) -> None:
        self.values, self.size, self.dtype = values, len(values), np.dtype(dtype)

    def product(self, vector: NDArray[Any]) -> NDArray[np.float64]:
        return (self.values * vector).astype(self.dtype).astype(float)


def bulk_and(lowest: list[float]) -> NDArray[Any]:
    """As networks have it: few large eigenvalues, many small ones, and some negative ones, none of them large."""
    source = np.random.default_rng(0)
    small = source.exponential(0.002, 3000) * (source.random(3000) < 0.6)
    return np.concatenate([[1.0, 0.5, 0.3, 0.2, 0.1], small, -0.0015 * source.random(200), lowest])


LOWEST = {
    "alone": [-0.002],
    "two": [-0.002, -0.00199, -0.0018],
    "many": list(np.linspace(-0.002, -0.0018, 30)),
    "zero": [],
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LOWEST)
def test_the_least_eigenvalue_is_the_least(name: str, dtype: str) -> None:
    """Of whatever start, and though it is a five-hundredth of the largest, or 0, and has near neighbours."""
    values = bulk_and(LOWEST[name])
    if name == "zero":
        values = abs(values) * (values > 0)
    for seed in range(2):
        begin = np.random.default_rng(seed).choice([-1.0, 1.0], len(values)).astype(dtype)
        ends = end_of_spectrum(Diagonal(values, dtype), 1, begin, least=True, tolerance=0.01, seed=0)
        assert ends.converged == (True,)
        assert abs(ends.values[0] - values.min()) <= 1e-3 * 0.002 + 1e-15  # where 2 % of it were allowed
        assert ends.values[0] >= values.min() - 1e-8


def test_a_tolerance_below_rounding_is_rounding() -> None:
    for least, expected in ((False, 1.0), (True, -0.002)):
        matrix = Diagonal(bulk_and(LOWEST["alone"]), "float32")
        begin = np.random.default_rng(0).choice([-1.0, 1.0], matrix.size).astype("float32")
        for tolerance in (0.0, 1e-30):
            ends = end_of_spectrum(matrix, 1, begin, least=least, tolerance=tolerance, seed=0)
            assert ends.values == pytest.approx((expected,), rel=1e-4)
            assert ends.converged == (ends.residuals[0] <= 32 * np.finfo("float32").eps,) == (True,)


def test_what_does_not_converge_are_ritz_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spectrum, "MOST_RESTARTS", 1)
    values = np.linspace(0, 1, 300)
    ends = end_of_spectrum(Known(with_eigenvalues(values)), 3, start(300), least=False, tolerance=1e-9, seed=0)
    assert not any(ends.converged)
    assert list(ends.values) == sorted(ends.values, reverse=True)
    for value, residual in zip(ends.values, ends.residuals, strict=True):
        assert min(abs(value - values)) <= residual
        assert 1e-9 < residual < 0.2
    assert 0.9 < ends.values[0] <= 1


def test_an_error_of_arpack_gives_ritz_values(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise spectrum.ArpackError(3)

    monkeypatch.setattr(spectrum, "eigsh", fail)
    low = Known(with_eigenvalues([4.0, 2.0] + [0.0] * 38))
    ends = end_of_spectrum(low, 4, start(40), least=False, tolerance=1e-6, seed=0)
    assert ends.values[:2] == pytest.approx([4, 2])
    assert ends.converged == (True, True, True, False)
    assert math.isnan(ends.values[3])  # the start vector knows three eigenvalues


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_lanczos_vectors_are_orthonormal_and_project(dtype: str) -> None:
    matrix = Known(with_eigenvalues(SPREAD), dtype)
    projected = lanczos(matrix, start(60, dtype), 50)
    exact = 1e-5 if dtype == "float32" else 1e-12
    vectors = projected.vectors.astype(float)
    assert vectors @ vectors.T == pytest.approx(np.eye(50), abs=exact)
    tridiagonal = np.diag(projected.diagonal) + np.diag(projected.beside, 1) + np.diag(projected.beside, -1)
    assert vectors @ matrix.matrix @ vectors.T == pytest.approx(tridiagonal, abs=10 * exact)
    assert matrix.products == 50


def test_quadrature_is_exact_up_to_twice_the_steps() -> None:
    matrix, vector = Known(with_eigenvalues(SPREAD)), start(60)
    nodes, weights = lanczos(matrix, vector, 5).quadrature()
    image = vector.copy()
    for power in range(10):
        expected = float(vector @ image) / 60
        measured = sum(weight * node**power for node, weight in zip(nodes, weights, strict=True))
        assert measured == pytest.approx(expected, rel=1e-9)
        image = matrix.matrix @ image
    assert abs(sum(w * node**10 for node, w in zip(nodes, weights, strict=True)) / (vector @ image / 60) - 1) > 1e-6


def test_lanczos_ends_where_its_space_is_complete() -> None:
    low = Known(with_eigenvalues([4.0, 2.0] + [0.0] * 38))
    projected = lanczos(low, start(40), 30)
    assert len(projected.diagonal) == 3
    assert projected.quadrature()[0] == pytest.approx([0, 2, 4], abs=1e-9)
    assert len(lanczos(Known(np.eye(3)), start(3), 9).diagonal) == 1
    assert len(lanczos(Known(np.diag([1.0, 2.0, 3.0])), start(3), 9).diagonal) == 3


def test_quadratic_forms_average_to_the_trace() -> None:
    matrix = Known(with_eigenvalues(SPREAD))
    draws = np.random.default_rng(0).choice([-1.0, 1.0], (400, 60))
    forms = [quadratic_form(matrix, draw) for draw in draws]
    assert np.mean(forms) == pytest.approx(SPREAD.sum(), abs=4 * np.std(forms) / 20)
    assert forms[0] == pytest.approx(float(draws[0] @ matrix.matrix @ draws[0]))


def test_products_that_are_not_finite() -> None:
    matrix = np.full((30, 30), math.inf)
    for measure in (
        lambda: end_of_spectrum(Known(matrix), 1, start(30), least=False, tolerance=0.1, seed=0),
        lambda: lanczos(Known(matrix * 0), start(30), 2),
        lambda: quadratic_form(Known(matrix), start(30)),
    ):
        with pytest.raises(NotFiniteError), np.errstate(invalid="ignore"):
            measure()


def test_how_many_vectors_there_are() -> None:
    assert [vectors_of_eigenvalues(count) for count in (1, 9, 10)] == [25, 33, 35]
    assert vectors_of_quadrature(64) == 68
