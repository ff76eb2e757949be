"""The figure of curvature: eigenvalues of each network, and the density of all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from landscape_cli.choices import HessianMetric
from landscape_cli.figures.curve import as_number
from landscape_cli.figures.figure import DEFAULT, Look, finish, new_figure, write_legend, write_title
from landscape_cli.figures.networks import lines_of
from landscape_cli.measures.curvature_result import BROADENING, SpectralDensity

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MATRICES = {HessianMetric.RELATIVE: "D H D", HessianMetric.EUCLIDEAN: "H"}
LOWEST = 1e-6
"""Densities below this part of the highest are not drawn."""

Network = Mapping[str, Any]


def curvature_figure(*results: Mapping[str, Any], look: Look = DEFAULT) -> Figure:
    """Draw the eigenvalues of networks by their rank, with their residuals as bars, and the density of all if known.

    The least eigenvalue is dotted. Where neither was computed: the traces, with their standard errors. What is missing
    is left out.

    Args:
        *results: of `flatness` of the kind curvature, as files hold them; their networks are drawn together.
        look: title, labels of the networks, and the size.
    """
    networks = [network for result in results for network in result["networks"]]
    names = look.label([network["network"] for network in networks])
    lines = lines_of(names, Look(labels=look.labels) if look.labels else DEFAULT)
    styles = {k: (line.label, line.style) for line in lines for k in line.members}
    panels = [draw for draw in (_draw_eigenvalues, _draw_density) if draw(None, networks, styles, {})] or [_draw_traces]
    figure, [axes] = new_figure(1, len(panels), look)
    matrix = MATRICES[HessianMetric(networks[0]["metric"])]
    entries: dict[str, Any] = {}
    for panel, draw in zip(axes, panels, strict=True):
        draw(panel, networks, styles, entries)
        panel.set(**{key: text.replace("MATRIX", matrix) for key, text in LABELS[draw.__name__].items()})
    write_legend(figure, entries)
    write_title(figure, look, TITLES[panels[0].__name__])
    return finish(figure)


TITLES = {
    "_draw_eigenvalues": "bars: residuals of the eigenvalues",
    "_draw_density": f"each node a Gaussian of {BROADENING:.0%} of the spectrum's width",
    "_draw_traces": "bars: one standard error over random vectors",
}
LABELS = {
    "_draw_eigenvalues": {"xlabel": "rank", "ylabel": "eigenvalue of MATRIX (training loss)"},
    "_draw_density": {
        "xlabel": "eigenvalue of MATRIX",
        "ylabel": f"density (Gaussians of {BROADENING:.0%} of the width)",
    },
    "_draw_traces": {"xlabel": "", "ylabel": "trace of MATRIX (training loss)"},
}


def _draw_eigenvalues(
    axes: Any, networks: Sequence[Network], styles: Mapping[int, Any], entries: dict[str, Any]
) -> bool:
    """Draw eigenvalues by their rank; without axes tell whether there are any."""
    most = max(len(network["eigenvalues"]) for network in networks)
    if axes is None:
        return most > 0 or any("smallest" in network for network in networks)
    for k, network in enumerate(networks):
        label, style = styles[k]
        values = [as_number(value) for value in network["eigenvalues"]]
        if not all(map(math.isnan, values)):
            trace = as_number((network.get("trace") or {}).get("mean"))
            named = label if math.isnan(trace) else f"{label} (trace {trace:.3g})"
            residuals = [as_number(value) for value in network["residuals"]]
            known = [0.0 if math.isnan(residual) else residual for residual in residuals]
            entries[named] = axes.errorbar(range(1, 1 + len(values)), values, known, capsize=2, markersize=4, **style)
        least = as_number(network.get("smallest"))
        if not math.isnan(least):
            entries[f"{label}: smallest"] = axes.axhline(least, color=style["color"], linestyle=":")
    axes.set_xlim(0.5, max(1, most) + 0.5)
    axes.locator_params(axis="x", integer=True)
    if not most:
        axes.set_xticks([])
    axes.axhline(0, color="0.8", linewidth=0.6, zorder=0)
    return True


def _draw_density(axes: Any, networks: Sequence[Network], styles: Mapping[int, Any], entries: dict[str, Any]) -> bool:
    """Draw the density of all eigenvalues; without axes tell whether there is any."""
    known = {k: network["density"] for k, network in enumerate(networks) if network.get("density")}
    if axes is None:
        return bool(known)
    highest = 0.0
    for k, density in known.items():
        label, style = styles[k]
        nodes, weights = (tuple(map(tuple, density[key])) for key in ("nodes", "weights"))
        grid, heights = SpectralDensity(nodes, weights).smooth()
        [line] = axes.semilogy(grid, heights, **{**style, "marker": ""})
        entries.setdefault(f"{label}: density", line)
        highest = max(highest, float(heights.max(initial=0)))
    if highest:
        axes.set_ylim(LOWEST * highest, 2 * highest)
    return True


def _draw_traces(axes: Any, networks: Sequence[Network], styles: Mapping[int, Any], entries: dict[str, Any]) -> bool:
    """Draw the traces with their standard errors."""
    for k, network in enumerate(networks):
        label, style = styles[k]
        trace = {key: as_number(value) for key, value in (network.get("trace") or {}).items()}
        if not math.isnan(trace.get("mean", math.nan)):
            error = trace.get("standard_error", math.nan)
            bar = axes.errorbar([k], [trace["mean"]], [0.0 if math.isnan(error) else error], capsize=4, **style)
            entries[label] = bar
    axes.set_xticks([])
    return True
