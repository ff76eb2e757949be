"""The picture of curvature: eigenvalues of each network, and the density of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from landscape_cli.choices import HessianMetric
from landscape_cli.figures.figure import new_figure, save
from landscape_cli.measures.curvature_result import Curvature

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MATRICES = {HessianMetric.RELATIVE: "D H D", HessianMetric.EUCLIDEAN: "H"}
LOWEST = 1e-6
"""Densities below this part of the highest are not drawn."""


def plot_curvature(path: Path, curvatures: Mapping[str, Curvature], *, force: bool) -> None:
    """Draw the eigenvalues of networks by their rank, and the density of all eigenvalues if there is any.

    Args:
        path: the picture.
        curvatures: by network.
        force: whether an existing file may be replaced.

    Raises:
        ResultError: if it cannot be written.
    """
    save(curvature_figure(curvatures), path, force=force)


def curvature_figure(curvatures: Mapping[str, Curvature]) -> Figure:
    """Return the figure: eigenvalues with their residuals, the least one dotted, and a panel for the density."""
    has_density = any(curvature.density is not None for curvature in curvatures.values())
    figure, axes = new_figure(1 + has_density)
    matrix = MATRICES[next(iter(curvatures.values())).metric]
    for network, curvature in curvatures.items():
        ranks = range(1, 1 + len(curvature.eigenvalues))
        name = f"{network} (trace {curvature.trace:.3g})" if curvature.trace_draws else network
        axes[0].errorbar(ranks, curvature.eigenvalues, curvature.residuals, fmt=".-", capsize=2, label=name)
        if curvature.smallest is not None:
            axes[0].axhline(curvature.smallest, color=axes[0].lines[-1].get_color(), linestyle=":")
        if curvature.density is not None:
            grid, density = curvature.density.smooth()
            density[density <= LOWEST * density.max(initial=0)] = np.nan
            axes[1].semilogy(grid, density, label=network)
    most = max(len(curvature.eigenvalues) for curvature in curvatures.values())
    axes[0].set(xlabel="rank", ylabel=f"eigenvalue of {matrix} (training loss)", xlim=(0.5, max(1, most) + 0.5))
    axes[0].locator_params(axis="x", integer=True)
    axes[0].legend()
    if has_density:
        axes[1].set(xlabel=f"eigenvalue of {matrix}", ylabel="density")
        axes[1].legend()
    return figure
