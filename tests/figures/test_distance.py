"""Figures of distances: no panel is empty, and all networks are named where there is room."""

from __future__ import annotations

import pytest

from landscape_cli.figures.distance import distance_figure
from landscape_cli.figures.figure import Look

pytest.importorskip("matplotlib")


def test_narrow_matrices_name_all_networks_and_leave_no_gaps() -> None:
    names = [f"rsgd-{k}.st" for k in range(6)]
    pairs = [{"a": a, "b": b, **{f"d{k}": 1.0 for k in range(4)}} for a in names for b in names if a < b]
    figure = distance_figure({"networks": names, "pairs": pairs}, look=Look(width=3.4))
    panels = [axes for axes in figure.axes if axes.images]
    figure.draw_without_rendering()
    assert len(panels) == panels[0].get_gridspec().nrows == 4
    assert all([text.get_text() for text in axes.get_xticklabels()] == [name[:-3] for name in names] for axes in panels)
    assert sum(axes.get_position().height for axes in panels) > 0.6
