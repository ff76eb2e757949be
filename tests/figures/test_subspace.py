"""Errors of training in random subspaces, by their dimension."""

from __future__ import annotations

import pytest

from landscape_cli.errors import ResultError
from landscape_cli.figures.draw import figure_of
from landscape_cli.figures.figure import Look
from tests.support import results

pytest.importorskip("matplotlib")
WHOLE = {"network": "w.st", "algo": "sgd", "train_error": 0.25, "test_error": 0.5}


def test_means_over_runs_by_dimension() -> None:
    figure = figure_of(results.trained(16), results.trained(4), WHOLE)
    for axes, means in zip(figure.axes, ([0.125, 0.5 / 16], [0.375, 1.5 / 16]), strict=True):
        curve = axes.lines[0]
        assert list(curve.get_xdata()) == [4, 16]
        assert list(curve.get_ydata()) == pytest.approx(means)
        assert len(axes.collections) == 1  # the band
        assert axes.get_xscale() == "log"
    assert [line.get_ydata()[0] for line in (figure.axes[0].lines[1], figure.axes[1].lines[1])] == [0.25, 0.5]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["D = 1,000", "the whole space"]
    assert "deviation" in figure.get_suptitle()


def test_a_line_for_each_number_of_weights_and_basis() -> None:
    others = [results.trained(4, of=9000, runs=1), results.trained(4, basis="gaussian", runs=1)]
    figure = figure_of(results.trained(4, 8, runs=1), *others)
    names = ["D = 1,000, disjoint", "D = 9,000, disjoint", "D = 1,000, gaussian"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == names
    assert figure.get_suptitle() == "random subspaces"
    assert not figure.axes[0].collections
    figure = figure_of(*others, look=Look(labels=("a", "b")))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b"]


def test_networks_of_the_whole_space_alone_are_refused() -> None:
    with pytest.raises(ResultError, match="`subspace=`"):
        figure_of(WHOLE)
    with pytest.raises(ResultError, match="no size"):
        figure_of(results.trained(4, dim=0))
