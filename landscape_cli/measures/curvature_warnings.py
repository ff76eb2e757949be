"""What is to be said of curvatures: what is missing or not converged, and when they cannot be compared."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence

from landscape_cli.errors import LandscapeWarning, Remark, listed
from landscape_cli.measures.curvature_result import Curvature
from landscape_cli.measures.curvature_settings import CurvatureSettings

ALIKE = 1.5
"""Training losses are alike up to this ratio."""


def warn_of_curvature(result: Curvature, path: str) -> None:
    """Say what of a network's curvature is missing, or not exact.

    Warns:
        LandscapeWarning: if anything is.
    """
    if result.is_missing:
        what = "loss" if not math.isfinite(result.loss) else "Hessian"
        warnings.warn(
            f"the {what} of {path} is not finite, so that its curvature is missing (null)",
            LandscapeWarning,
            stacklevel=2,
        )
    elif not result.converged:
        reached = zip(range(1, 1 + len(result.eigenvalues)), result.eigenvalues_converged, strict=True)
        ranks = [f"eigenvalue {rank}" for rank, converged in reached if not converged]
        least = ["the smallest eigenvalue"] if result.smallest_converged is False else []
        warnings.warn(
            f"not converged of {path}: {listed([*least, *ranks])}, whose residuals say how far a true eigenvalue may "
            f"be ({_remedy(ranks)})",
            LandscapeWarning,
            stacklevel=2,
        )


def warn_of_losses(results: Mapping[str, Curvature]) -> None:
    """Say that networks at different training losses are not to be compared by their curvature.

    Args:
        results: by the networks' files.

    Warns:
        LandscapeWarning: if losses differ by more than a half.
    """
    losses = [result.loss for result in results.values() if math.isfinite(result.loss)]
    if losses and max(losses) > ALIKE * min(losses):
        warnings.warn(
            f"training losses range from {min(losses):.3g} to {max(losses):.3g}: the curvature of the cross-entropy "
            "falls with the loss, so compare networks of about the same",
            LandscapeWarning,
            stacklevel=2,
        )


def remark_of_metric(settings: CurvatureSettings) -> None:
    """Say that the Euclidean metric is not invariant.

    Warns:
        Remark: if it is that metric.
    """
    if not settings.is_relative:
        warnings.warn(
            "`metric=` euclidean depends on the scales of hidden units, which the network's function does not: "
            "compare networks in the relative metric",
            Remark,
            stacklevel=2,
        )


def _remedy(ranks: Sequence[str]) -> str:
    """Return what helps where eigenvalues do not converge."""
    if ranks:
        return "ask for fewer `eigenvalues=`, or for less with a larger `tolerance=`"
    return "it is too small, or its neighbours are too near: ask for less with a larger `tolerance=`"
