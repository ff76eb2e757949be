"""Figures of paths: curves, bands, barriers, bends, and what tells several apart."""

from __future__ import annotations

import math

import pytest

from landscape_cli.figures.figure import Look
from landscape_cli.figures.path import describe, path_figure
from tests.support import results

pytest.importorskip("matplotlib")
ALIGNED = {"provenance": {"arguments": {"align": "cosine", "bn": "recompute"}}}


def legend(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_curves_and_barriers() -> None:
    [axes] = path_figure(results.path()).axes
    train, test, *_ = axes.lines
    assert train.get_xdata().tolist() == list(results.TAUS)
    assert train.get_ydata().tolist() == list(results.ERRORS)
    assert test.get_ydata().tolist() == [error / 2 for error in results.ERRORS]
    assert train.get_linestyle() != test.get_linestyle()
    assert train.get_marker() != test.get_marker()
    assert axes.get_ylim()[0] < -0.01  # an error of zero is seen
    [text] = axes.texts
    assert (text.get_text(), text.xy) == ("barrier 0.4", (0.5, 0.4))
    [axes] = path_figure(results.path(missing=3)).axes
    assert math.isnan(axes.lines[0].get_ydata()[3])


def test_zero_everywhere_is_seen() -> None:
    body = results.path()
    body["points"] = [point | {"train_error": 0.0, "test_error": 0.0} for point in body["points"]]
    [axes] = path_figure(body).axes
    low, high = axes.get_ylim()
    assert low < 0 < high < 1


def test_losses_have_a_panel_and_barriers_of_their_own() -> None:
    figure = path_figure(results.path(loss=True))
    assert [axes.get_ylabel() for axes in figure.axes] == ["error", "loss"]
    assert [axes.texts[0].get_text() for axes in figure.axes] == ["barrier 0.4", "barrier 1.2"]
    assert figure.axes[1].lines[0].get_ydata().tolist() == pytest.approx([3 * error for error in results.ERRORS])


def test_bands_are_said_what_they_are() -> None:
    figure = path_figure(results.path("shortest", deviation=True, orders=3))
    assert len(figure.axes[0].collections) == 2
    assert legend(figure) == ["train", "test", "band: one deviation over orders"]
    assert "3 orders" in figure.get_suptitle()


def test_bend_and_middle() -> None:
    figure = path_figure(results.path(midpoint={"middle": {"train_error": 0.7}, "epochs": 3}))
    assert legend(figure)[2:] == ["trained midpoint", "untrained: ends and middle"]
    faint = [line for line in figure.axes[0].lines if list(line.get_ydata()) == [0.1, 0.7, 0.0]]
    assert [line.get_alpha() < 1 for line in faint] == [True]
    assert figure.axes[0].get_ylim()[1] > 0.7


def test_several_share_axes_and_are_told_apart() -> None:
    three = (results.path(), results.path(**ALIGNED), results.path("geodesic"))
    figure = path_figure(*three)
    titles = ["linear", "linear, aligned (cosine), batch-norm recomputed", "geodesic"]
    assert [axes.get_title() for axes in figure.axes] == titles == list(map(describe, three))
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    assert figure.get_suptitle() == "sgd-1 → sgd-2"
    assert describe(results.path(provenance={"aligned": {"b.st": "weight"}})) == "linear, aligned (weight)"


def test_beyond_its_ends_the_two_networks_are_marked() -> None:
    body = results.path()
    body["points"] = [point | {"tau": 2 * point["tau"] - 0.5} for point in body["points"]]
    figure = path_figure(body)
    assert [line.get_xdata() for line in figure.axes[0].lines if line.get_linestyle() == ":"] == [[0, 0], [1, 1]]
    assert "the two networks" in legend(figure)
    assert "the two networks" not in legend(path_figure(results.path()))


def test_the_barriers_number_is_above_all_curves() -> None:
    figure = path_figure(results.path())
    [axes] = figure.axes
    figure.draw_without_rendering()
    [text] = axes.texts
    assert text.get_bbox_patch() is None  # which would hide curves
    lowest = axes.transData.inverted().transform(text.get_window_extent().p0)[1]
    assert lowest > max(max(line.get_ydata()) for line in axes.lines)


def test_no_barrier_where_no_end_is_lower() -> None:
    body = results.path()
    body["barrier"]["train"] = {"max": 0.1, "tau": 0.0, "above_ends": 0.0}
    assert not path_figure(body).axes[0].texts


def test_narrow_paths_with_losses_are_a_grid() -> None:
    figure = path_figure(results.path(loss=True), results.path(loss=True), look=Look(width=3.4))
    grid = figure.axes[0].get_gridspec()
    assert (grid.nrows, grid.ncols) == (2, 2)
    labels = {(axes.get_subplotspec().colspan.start, axes.get_ylabel()) for axes in figure.axes}
    assert labels == {(0, "error"), (1, "loss")}
    assert figure.axes[0].get_ylim() == figure.axes[2].get_ylim() != figure.axes[1].get_ylim()
