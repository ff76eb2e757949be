"""Figures of logs and of distances."""

from __future__ import annotations

import numpy as np
import pytest

from landscape_cli.figures.distance import distance_figure
from landscape_cli.figures.figure import Look
from landscape_cli.figures.training import training_figure
from tests.support import results

pytest.importorskip("matplotlib")


def test_runs_of_logs() -> None:
    logs = [results.log(1)["points"], results.log(1, 2, gamma=True)["points"]]
    figure = training_figure(*logs, look=Look(sources=("sgd-1", "rsgd")))
    shown = [axes for axes in figure.axes if axes.axison]
    assert [axes.get_ylabel() for axes in shown] == ["training loss", "training error", "coupling γ"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        *("sgd-1", "rsgd seed 1", "rsgd seed 2", "end of a phase"),
    ]
    curve = shown[0].lines[0]
    assert curve.get_ydata().tolist() == pytest.approx([1, 1 / 2, 1 / 3])
    ends = [line for line in shown[0].lines if line.get_xdata()[0] == 1.5]
    assert len(ends) == 3  # of the first phase, in each run


@pytest.mark.parametrize("matrix", [False, True])
def test_distances(matrix: bool) -> None:
    figure = distance_figure(results.distance(matrix=matrix))
    panels = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in panels] == (["geodesic"] if matrix else ["geodesic", "cosine"])
    shown = np.ma.filled(panels[0].images[0].get_array().astype(float), np.nan)
    nan = np.nan
    np.testing.assert_array_equal(shown, [[nan, 1, 2], [1, nan, nan], [2, nan, nan]])
    assert [text.get_text() for text in panels[0].texts] == ["1", "2", "1", "2"]
    assert [text.get_text() for text in panels[0].get_xticklabels()] == ["a", "b", "c"]
