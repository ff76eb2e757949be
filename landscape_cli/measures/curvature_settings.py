"""What is computed of a Hessian, and whether it fits in memory (docs/method.md: Curvature)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from landscape_cli.arguments import check_kind, check_number, check_whole
from landscape_cli.choices import HessianMetric, check_choice
from landscape_cli.errors import GeometryError
from landscape_cli.measures.spectrum import vectors_of_eigenvalues, vectors_of_quadrature

GIB = 1 << 30
MOST_BYTES = 4 * GIB
"""What Lanczos vectors may take."""
DENSITY_STEPS = 64
"""Steps that are taken where nothing is said: of fewer weights, as many as there are."""


@dataclass(frozen=True)
class CurvatureSettings:
    """What is computed of a Hessian, and how exactly.

    Attributes:
        eigenvalues: how many of the largest; 0 for none.
        smallest: the least one as well.
        trace_samples: random vectors to estimate the trace with; 0 for no trace.
        density: the spectral density as well.
        density_probes: random vectors for it, the first of those for the trace.
        density_steps: Lanczos steps for each: so many nodes has its quadrature.
        metric: "relative" for D H D, D = diag(θ), or "euclidean" for H.
        tolerance: of the residuals of eigenvalues, relative to them.
        seed: of all random vectors.

    Raises:
        GeometryError: if one is impossible.
    """

    eigenvalues: int = 1
    smallest: bool = False
    trace_samples: int = 16
    density: bool = False
    density_probes: int = 4
    density_steps: int = DENSITY_STEPS
    metric: HessianMetric | str = HessianMetric.RELATIVE
    tolerance: float = 1e-2
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("eigenvalues", "trace_samples", "seed"):
            check_whole(name, getattr(self, name), GeometryError, least=0)
        for name in ("density_probes", "density_steps"):
            check_whole(name, getattr(self, name), GeometryError, least=1)
        for name in ("smallest", "density"):
            check_kind(name, getattr(self, name), bool, "give True or False", GeometryError)
        check_choice("`metric=`", self.metric, HessianMetric, GeometryError, joined=" or ")
        check_number("tolerance", self.tolerance, GeometryError)
        if not 0 <= self.tolerance < 1:
            raise GeometryError(f"`tolerance=` must be at least 0 and below 1, and is {self.tolerance:g}")
        if not (self.eigenvalues or self.smallest or self.trace_samples or self.density):
            raise GeometryError("nothing of the curvature is asked for: give `eigenvalues=` or `trace_samples=`")

    @property
    def is_relative(self) -> bool:
        """Whether it is of D H D."""
        return self.metric == HessianMetric.RELATIVE

    @property
    def usual_products(self) -> int:
        """About how many products of the Hessian with a vector it takes: for a progress bar."""
        density = self.density * self.density_probes
        trace = max(0, self.trace_samples - density)
        ends = 25 * (self.eigenvalues > 0) + 10 * self.eigenvalues + 150 * self.smallest
        return 1 + ends + density * self.density_steps + trace

    def check_size(self, size: int, dtype: torch.dtype) -> None:
        """Check that there are so many eigenvalues, and that the Lanczos vectors for them fit in memory.

        Args:
            size: the number of weights.
            dtype: of the network.

        Raises:
            GeometryError: if not, with what would fit.
        """
        if not size:
            raise GeometryError("there are no weights to differentiate by: name some, or take all parameters")
        if self.eigenvalues > size:
            raise GeometryError(f"`eigenvalues=` {self.eigenvalues} of {size} weights: there are at most {size}")
        if self.density and self.density_steps > max(size, DENSITY_STEPS):
            raise GeometryError(f"`density_steps=` {self.density_steps} of {size} weights: there are at most {size}")
        each = size * (8 if dtype == torch.float64 else 4)
        fitting = MOST_BYTES // each
        count, steps = max(self.eigenvalues, int(self.smallest)), min(self.density_steps, size)
        needed = vectors_of_quadrature(steps)
        if count and vectors_of_eigenvalues(count) > fitting:
            most = _most_eigenvalues(fitting)
            remedy = f"at most {most}" if most else "give 0, for the trace alone, without `smallest=`"
            raise GeometryError(f"`eigenvalues=` {count} {_needs(vectors_of_eigenvalues(count), size, each)}: {remedy}")
        if self.density and needed > fitting:
            most = fitting - vectors_of_quadrature(0)
            remedy = f"at most {most}" if most > 0 else "leave out `density=`"
            raise GeometryError(f"`density_steps=` {steps} {_needs(needed, size, each)}: {remedy}")


def _most_eigenvalues(vectors: int) -> int:
    """Return how many eigenvalues so many vectors suffice for."""
    count = 0
    while vectors_of_eigenvalues(count + 1) <= vectors:
        count += 1
    return count


def _needs(vectors: int, size: int, each: int) -> str:
    return f"of {size} weights needs {vectors * each / GIB:.1f} GiB of Lanczos vectors, of at most {MOST_BYTES // GIB}"
