"""The spectrum of a large symmetric matrix of which only products with vectors are known.

Extreme eigenvalues by the implicitly restarted Lanczos method (ARPACK), the trace by Hutchinson's estimator, the
spectral density by stochastic Lanczos quadrature. See docs/method.md: Curvature.
"""

from __future__ import annotations

import inspect
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
MOST_RESTARTS_LEAST = 50
"""The same of the least eigenvalue, which has nearer neighbours: it takes 100 to 600 products."""
MARGIN = 10.0
"""By how much finer than the tolerance the least eigenvalue is sought, as its residual does not tell neighbours."""
NEGLIGIBLE = 1e-4
"""The part of the spectrum's size below which tolerances are relative to that: 0 has no size of its own."""
ROUNDING = 16.0
"""Residuals that rounding leaves, in units of it and of the spectrum's size: ARPACK's in float32 were up to 16."""

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
        converged: of each, whether it is as exact as was asked for, or as rounding lets it be; else it is a Ritz value.
    """

    values: tuple[float, ...]
    residuals: tuple[float, ...]
    converged: tuple[bool, ...]


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

    A matrix no larger than the basis of Lanczos vectors is made whole, from as many products, and solved. The least
    eigenvalues are sought with one neighbour more, and more finely than they are judged.

    Args:
        matrix: the matrix.
        count: how many, at least 1 and at most its size.
        start: the first Lanczos vector, random.
        least: the least ones, in place of the largest.
        tolerance: of residuals, relative to each eigenvalue, or to `NEGLIGIBLE` times the spectrum's size, the largest
            eigenvalue without its sign, if that is more.
        seed: of further start vectors, where the first one's space is complete.

    Raises:
        NotFiniteError: if a product is not finite.
    """
    return _eigenpairs(matrix, count, start, least=least, tolerance=tolerance, seed=seed)[0]


def leading_eigenvectors(
    matrix: SymmetricMatrix, count: int, start: Vector, *, tolerance: float, seed: int
) -> tuple[Eigenvalues, Vector]:
    """Return the largest eigenvalues as `end_of_spectrum` does, and their unit vectors, shape (size, count).

    Raises:
        NotFiniteError: if a product is not finite, or there are not so many.
    """
    values, vectors = _eigenpairs(matrix, count, start, least=False, tolerance=tolerance, seed=seed)
    if vectors.shape[1] < count:
        raise NotFiniteError
    return values, vectors / np.linalg.norm(vectors, axis=0)


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


def _eigenpairs(
    matrix: SymmetricMatrix, count: int, start: Vector, *, least: bool, tolerance: float, seed: int
) -> tuple[Eigenvalues, Vector]:
    """Return the eigenvalues at an end of the spectrum, and their vectors, shape (size, count): fewer if there are."""
    if matrix.size <= _basis_size(count) + least:
        return _dense(matrix, count, least=least)
    start = start / np.linalg.norm(start)
    size = float(np.linalg.norm(_product(matrix, start)))
    if size == 0:  # a random vector lies in no kernel but that of the zero matrix
        return Eigenvalues((0.0,) * count, (0.0,) * count, (True,) * count), np.eye(matrix.size, count)
    # Scaled, as ARPACK is content with residuals below its tolerance times 2e-5 (float32), whatever the eigenvalues.
    searches = [_Search(size, 0.0, max(tolerance, _rounding(matrix)), MOST_RESTARTS)]
    if least:
        start, size, searches = _prepared(matrix, count, start, tolerance)
    vectors = np.zeros((matrix.size, 0), dtype=matrix.dtype)
    for search in searches:
        vectors = _arpack(matrix, count + least, start, search, least=least, seed=seed)
        if vectors.shape[1] >= count:
            break
        start = start + vectors.sum(axis=1)  # what has converged is in the space that comes next
    if vectors.shape[1] < count:
        vectors = _ritz_vectors(matrix, count, start, least=least)
    return _judged(matrix, count, vectors, least=least, tolerance=tolerance, size=size)


def _dense(matrix: SymmetricMatrix, count: int, *, least: bool) -> tuple[Eigenvalues, Vector]:
    columns = np.stack([_product(matrix, row) for row in np.eye(matrix.size, dtype=matrix.dtype)], axis=1)
    values, vectors = np.linalg.eigh((columns + columns.T) / 2)
    chosen = list(range(count)) if least else list(range(matrix.size - 1, matrix.size - 1 - count, -1))
    residuals = [float(np.linalg.norm(columns @ vectors[:, k] - values[k] * vectors[:, k])) for k in chosen]
    return Eigenvalues(tuple(float(values[k]) for k in chosen), tuple(residuals), (True,) * count), vectors[:, chosen]


class _Search(NamedTuple):
    """How ARPACK is run: on (A - shift) / scale, until residuals are below a tolerance, or so many restarts."""

    scale: float
    shift: float
    tolerance: float
    restarts: int


def _prepared(
    matrix: SymmetricMatrix, count: int, start: Vector, tolerance: float
) -> tuple[Vector, float, list[_Search]]:
    """Return where to look for the least eigenvalues: start, the spectrum's size, and ways from fine to coarse.

    A few Lanczos steps tell about how small they are. The shift makes tolerances relative to the spectrum's size, as
    the least eigenvalue may be 0.
    """
    first = lanczos(matrix, start, FEWEST_VECTORS)
    nodes, components = eigh_tridiagonal(first.diagonal, first.beside)
    size = float(abs(nodes).max())
    allowed = _allowed(float(nodes[0]), tolerance, size, matrix)
    fine = max(allowed / MARGIN, _rounding(matrix) * size) / size
    if len(nodes) < FEWEST_VECTORS:  # the start vector's space is complete, and a shift may leave nothing of it
        return start, size, [_Search(size, 0.0, fine, MOST_RESTARTS_LEAST)]
    lowest = components[:, : count + 1].sum(axis=1)
    shifted = [_Search(size, size, fine, MOST_RESTARTS_LEAST), _Search(size, size, allowed / size, MOST_RESTARTS)]
    return lowest.astype(matrix.dtype) @ first.vectors, size, shifted


def _arpack(
    matrix: SymmetricMatrix, count: int, start: Vector, search: _Search, *, least: bool, seed: int
) -> NDArray[np.float64]:
    """Return eigenvectors, shape (size, count), of fewer columns where not all have converged."""

    def product(vector: Vector) -> Vector:
        shifted: Vector = (_product(matrix, vector) - search.shift * vector.astype(float)) / search.scale
        return shifted.astype(matrix.dtype)

    operator = LinearOperator((matrix.size, matrix.size), matvec=product, dtype=matrix.dtype)
    settings: dict[str, Any] = {"k": count, "which": "SA" if least else "LA", "ncv": _basis_size(count)}
    settings |= {"v0": start.astype(matrix.dtype), "tol": search.tolerance, "maxiter": search.restarts}
    if "rng" in inspect.signature(eigsh).parameters:  # before scipy 1.17 ARPACK draws itself, always the same
        settings["rng"] = np.random.default_rng(seed)
    vectors = np.zeros((matrix.size, 0))
    try:
        vectors = eigsh(operator, **settings)[1]
    except ArpackNoConvergence as failure:
        vectors = failure.eigenvectors
    except ArpackError:
        pass
    return vectors


def _ritz_vectors(matrix: SymmetricMatrix, count: int, start: Vector, *, least: bool) -> Vector:
    """Return the Ritz vectors of one round of Lanczos steps, for eigenvalues that do not converge."""
    projected = lanczos(matrix, start, _basis_size(count))
    values, components = eigh_tridiagonal(projected.diagonal, projected.beside)
    order = np.argsort(values if least else -values)[:count]
    vectors: Vector = projected.vectors.T @ components[:, order].astype(matrix.dtype)
    return vectors


def _judged(
    matrix: SymmetricMatrix, count: int, vectors: Vector, *, least: bool, tolerance: float, size: float
) -> tuple[Eigenvalues, Vector]:
    """Return the Rayleigh quotients of vectors, with their residuals, and the vectors; NaN where there are too few."""
    pairs = []
    for k, vector in enumerate(vectors.T):
        image, exact = _product(matrix, vector.astype(matrix.dtype)), vector.astype(float)
        value = float(exact @ image / (exact @ exact))
        pairs.append((value, float(np.linalg.norm(image - value * exact) / np.linalg.norm(exact)), k))
    pairs = sorted(pairs, reverse=not least)[:count]
    size = max([size, *(abs(value) for value, *_ in pairs)])
    lacking = (float("nan"),) * (count - len(pairs))
    values, residuals = (tuple(pair[k] for pair in pairs) + lacking for k in range(2))
    allowed = [_allowed(value, tolerance, size, matrix) for value in values]
    converged = tuple(r <= most for r, most in zip(residuals, allowed, strict=True))
    return Eigenvalues(values, residuals, converged), vectors[:, [k for *_, k in pairs]]


def _allowed(value: float, tolerance: float, size: float, matrix: SymmetricMatrix) -> float:
    """Return the residual at which an eigenvalue is exact enough."""
    return max(tolerance * max(abs(value), NEGLIGIBLE * size), 2 * _rounding(matrix) * size)


def _rounding(matrix: SymmetricMatrix) -> float:
    return ROUNDING * float(np.finfo(matrix.dtype).eps)
