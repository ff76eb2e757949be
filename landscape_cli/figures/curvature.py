"""The picture of curvature: eigenvalues of each network, and the density of all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landscape_cli.choices import HessianMetric
from landscape_cli.figures.figure import new_figure, save
from landscape_cli.measures.curvature_result import BROADENING, Curvature

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
    """Return the figure: a panel for eigenvalues with their residuals, the least one dotted, and one for the density.

    Of neither there may be any: then the traces, with their standard errors. What is missing is left out.
    """
    panels = [draw for draw in (_draw_eigenvalues, _draw_density) if draw(None, curvatures)] or [_draw_traces]
    figure, axes = new_figure(len(panels))
    matrix = MATRICES[next(iter(curvatures.values())).metric]
    for panel, draw in zip(axes, panels, strict=True):
        draw(panel, curvatures)
        panel.set(**{key: text.replace("MATRIX", matrix) for key, text in LABELS[draw.__name__].items()})
        if panel.get_legend_handles_labels()[0]:
            panel.legend()
    return figure


LABELS = {
    "_draw_eigenvalues": {"xlabel": "rank", "ylabel": "eigenvalue of MATRIX (training loss)"},
    "_draw_density": {
        "xlabel": "eigenvalue of MATRIX",
        "ylabel": f"density (each node a Gaussian of {BROADENING:.0%} of the width)",
    },
    "_draw_traces": {"xlabel": "", "ylabel": "trace of MATRIX (training loss)"},
}


def _draw_eigenvalues(axes: Any, curvatures: Mapping[str, Curvature]) -> bool:
    """Draw eigenvalues by their rank; without axes tell whether there are any."""
    most = max(len(curvature.eigenvalues) for curvature in curvatures.values())
    if axes is None:
        return most > 0 or any(curvature.smallest is not None for curvature in curvatures.values())
    for k, (network, curvature) in enumerate(curvatures.items()):
        color, ranks = f"C{k}", range(1, 1 + len(curvature.eigenvalues))
        name = f"{network} (trace {curvature.trace:.3g})" if curvature.trace_draws else network
        if not all(map(math.isnan, curvature.eigenvalues)):
            style = {"fmt": ".-", "capsize": 2, "color": color, "label": name}
            axes.errorbar(ranks, curvature.eigenvalues, curvature.residuals, **style)
        if curvature.smallest is not None and not math.isnan(curvature.smallest):
            axes.axhline(curvature.smallest, color=color, linestyle=":", label=f"{network}: smallest")
    axes.set_xlim(0.5, max(1, most) + 0.5)
    axes.locator_params(axis="x", integer=True)
    if not most:
        axes.set_xticks([])
    return True


def _draw_density(axes: Any, curvatures: Mapping[str, Curvature]) -> bool:
    """Draw the density of all eigenvalues; without axes tell whether there is any."""
    densities = {name: each.density for name, each in curvatures.items() if each.density is not None}
    if axes is None:
        return bool(densities)
    highest = 0.0
    for k, network in enumerate(curvatures):
        if network in densities:
            grid, density = densities[network].smooth()
            axes.semilogy(grid, density, color=f"C{k}", label=network)
            highest = max(highest, float(density.max(initial=0)))
    if highest:
        axes.set_ylim(LOWEST * highest, 2 * highest)
    return True


def _draw_traces(axes: Any, curvatures: Mapping[str, Curvature]) -> bool:
    """Draw the traces with their standard errors."""
    for k, (network, curvature) in enumerate(curvatures.items()):
        if curvature.trace_draws and not math.isnan(curvature.trace):
            error = 0.0 if math.isnan(curvature.trace_standard_error) else curvature.trace_standard_error
            axes.errorbar([k], [curvature.trace], [error], fmt=".", capsize=4, color=f"C{k}", label=network)
    axes.set_xticks([])
    return True
