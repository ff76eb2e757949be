"""The spectrum of a large symmetric matrix of which only products with vectors are known.

Extreme eigenvalues by the implicitly restarted Lanczos method (ARPACK), the trace by Hutchinson's estimator, the
spectral density by stochastic Lanczos quadrature. See docs/method.md: Curvature.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh_tridiagonal
from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, LinearOperator, eigsh

FEWEST_VECTORS = 20
"""Lanczos vectors that ARPACK is given at least, which is its own choice."""
WORK_VECTORS = 4
"""Vectors that it works with besides: its three, and the residual."""
MOST_RESTARTS = 30
"""Restarts after which eigenvalues are taken as they are: some 300 products, where one usually takes 20 to 50."""

Vector = NDArray[Any]


class SymmetricMatrix(Protocol):
    """A symmetric matrix that is known by its products with vectors."""

    @property
    def size(self) -> int:
        """The number of its rows."""

    @property
    def dtype(self) -> Any:
        """The type of vectors: float32 or float64."""

    def product(self, vector: Vector) -> NDArray[np.float64]:
        """Return the product with a vector, shape (size,)."""


class NotFiniteError(Exception):
    """A product is not finite."""


class Eigenvalues(NamedTuple):
    """Some eigenvalues at one end of a spectrum.

    Attributes:
        values: from the end inwards; NaN where there are not so many.
        residuals: of each, the norm of A x - λ x, x its unit vector: an eigenvalue lies within that distance.
        converged: whether all are as exact as was asked for; if not, they are Ritz values.
    """

    values: tuple[float, ...]
    residuals: tuple[float, ...]
    converged: bool


class Tridiagonal(NamedTuple):
    """A matrix projected on the space of some Lanczos vectors.

    Attributes:
        diagonal: α, shape (steps,), float64.
        beside: β, shape (steps - 1,), float64.
        vectors: the Lanczos vectors, shape (steps, size).
    """

    diagonal: NDArray[np.float64]
    beside: NDArray[np.float64]
    vectors: Vector

    def quadrature(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return Gauss quadrature of the start vector's spectral measure: nodes, ascending, and their weights."""
        nodes, components = eigh_tridiagonal(self.diagonal, self.beside)
        return tuple(nodes.tolist()), tuple((components[0] ** 2).tolist())


def vectors_of_eigenvalues(count: int) -> int:
    """Return how many vectors of the matrix's size and type are in memory while so many eigenvalues are computed."""
    return _basis_size(count) + WORK_VECTORS + count


def vectors_of_quadrature(steps: int) -> int:
    """Return how many vectors of the matrix's size and type are in memory during so many Lanczos steps."""
    return steps + WORK_VECTORS


def end_of_spectrum(
    matrix: SymmetricMatrix, count: int, start: Vector, *, least: bool, tolerance: float, seed: int
) -> Eigenvalues:
    """Return the largest (or least) eigenvalues.

    A matrix no larger than the basis of Lanczos vectors is made whole, from as many products, and solved.

    Args:
        matrix: the matrix.
        count: how many, at least 1 and at most its size.
        start: the first Lanczos vector, random.
        least: the least ones, in place of the largest.
        tolerance: of residuals, relative to the eigenvalues.
        seed: of further start vectors, where the first one's space is complete.

    Raises:
        NotFiniteError: if a product is not finite.
    """
    if matrix.size <= _basis_size(count):
        return _dense(matrix, count, least=least)
    start = start / np.linalg.norm(start)
    scale = float(np.linalg.norm(_product(matrix, start)))
    if scale == 0:  # a random vector lies in no kernel but that of the zero matrix
        return Eigenvalues((0.0,) * count, (0.0,) * count, converged=True)
    # Scaled, as ARPACK is content with residuals below its tolerance times 2e-5 (float32), whatever the eigenvalues.
    operator = LinearOperator(
        (matrix.size, matrix.size),
        matvec=lambda vector: (_product(matrix, vector) / scale).astype(matrix.dtype),
        dtype=matrix.dtype,
    )
    settings: dict[str, Any] = {"k": count, "which": "SA" if least else "LA", "ncv": _basis_size(count)}
    settings |= {"v0": start.astype(matrix.dtype), "tol": tolerance, "maxiter": MOST_RESTARTS}
    if "rng" in inspect.signature(eigsh).parameters:  # before scipy 1.17 ARPACK draws itself, always the same
        settings["rng"] = np.random.default_rng(seed)
    try:
        values, vectors = eigsh(operator, **settings)
        order = np.argsort(values if least else -values)
        return _with_residuals(matrix, scale * values[order].astype(float), vectors[:, order], converged=True)
    except ArpackNoConvergence as failure:
        start = start + failure.eigenvectors.sum(axis=1)  # what has converged is in the space of the next line
    except ArpackError:
        pass
    return _ritz(matrix, count, start, least=least)


def lanczos(matrix: SymmetricMatrix, start: Vector, steps: int) -> Tridiagonal:
    """Run the Lanczos method with full reorthogonalisation (Lanczos, 1950; twice is enough: Giraud et al., 2005).

    Args:
        matrix: the matrix.
        start: the first vector, not zero.
        steps: how many at most; fewer where their space is complete.

    Raises:
        NotFiniteError: if a product is not finite.
    """
    steps = min(steps, matrix.size)
    vectors = np.zeros((steps, matrix.size), dtype=matrix.dtype)
    diagonal: list[float] = []
    beside: list[float] = []
    current = start / np.linalg.norm(start)
    largest = 0.0
    for step in range(steps):
        vectors[step] = current
        image = _product(matrix, vectors[step])
        diagonal.append(float(np.dot(vectors[step].astype(float), image)))
        before = float(np.linalg.norm(image))
        for _ in range(2):
            known = vectors[: step + 1]
            image -= (known @ image.astype(matrix.dtype)) @ known
        length = float(np.linalg.norm(image))
        largest = max(largest, before)
        if step + 1 == steps or length <= 10 * float(np.finfo(matrix.dtype).eps) * largest:
            break
        beside.append(length)
        current = image / length
    return Tridiagonal(np.array(diagonal), np.array(beside), vectors[: len(diagonal)])


def quadratic_form(matrix: SymmetricMatrix, vector: Vector) -> float:
    """Return zᵀAz of a vector z, summed in float64: of random signs an unbiased estimate of the trace (Hutchinson).

    Raises:
        NotFiniteError: if it is not finite.
    """
    return float(np.dot(vector.astype(float), _product(matrix, vector)))


def _basis_size(count: int) -> int:
    return max(2 * count + 1, FEWEST_VECTORS)


def _product(matrix: SymmetricMatrix, vector: Vector) -> NDArray[np.float64]:
    image = matrix.product(vector)
    if not np.isfinite(image).all():
        raise NotFiniteError
    return image


def _dense(matrix: SymmetricMatrix, count: int, *, least: bool) -> Eigenvalues:
    columns = np.stack([_product(matrix, row) for row in np.eye(matrix.size, dtype=matrix.dtype)], axis=1)
    values, vectors = np.linalg.eigh((columns + columns.T) / 2)
    chosen = range(count) if least else range(matrix.size - 1, matrix.size - 1 - count, -1)
    residuals = [float(np.linalg.norm(columns @ vectors[:, k] - values[k] * vectors[:, k])) for k in chosen]
    return Eigenvalues(tuple(float(values[k]) for k in chosen), tuple(residuals), converged=True)


def _ritz(matrix: SymmetricMatrix, count: int, start: Vector, *, least: bool) -> Eigenvalues:
    """Return the Ritz values of one round of Lanczos steps, for eigenvalues that do not converge."""
    projected = lanczos(matrix, start, _basis_size(count))
    values, components = eigh_tridiagonal(projected.diagonal, projected.beside)
    order = np.argsort(values if least else -values)[:count]
    vectors = projected.vectors.T @ components[:, order].astype(matrix.dtype)
    ritz = _with_residuals(matrix, values[order], vectors, converged=False)
    missing = (float("nan"),) * (count - len(order))
    return Eigenvalues(ritz.values + missing, ritz.residuals + missing, converged=False)


def _with_residuals(
    matrix: SymmetricMatrix, values: Sequence[float], vectors: Vector, *, converged: bool
) -> Eigenvalues:
    residuals = []
    for value, vector in zip(values, vectors.T, strict=True):
        image = _product(matrix, vector)
        residuals.append(float(np.linalg.norm(image - float(value) * vector.astype(float)) / np.linalg.norm(vector)))
    return Eigenvalues(tuple(map(float, values)), tuple(residuals), converged)
