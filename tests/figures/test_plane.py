"""Figures of planes: one scale, labelled contours, names in place, hatches where there is nothing."""

from __future__ import annotations

from itertools import pairwise

import pytest

from landscape_cli.figures.figure import Look
from landscape_cli.figures.line import line_figure
from landscape_cli.figures.plane import plane_figure
from landscape_cli.figures.plane_data import OUTSIDE
from tests.support import results

pytest.importorskip("matplotlib")


def test_train_and_test_share_a_scale_and_contours_have_labels() -> None:
    figure = plane_figure(results.plane(loss=True))
    panels, bars = figure.axes[:4], figure.axes[4:]
    assert [axes.get_title() for axes in panels] == ["train error", "test error", "train loss", "test loss"]
    assert [bar.get_ylabel() for bar in bars] == ["error", "loss"]
    limits = [axes.collections[0].get_clim() for axes in panels]
    assert limits[0] == limits[1] != limits[2] == limits[3]
    assert limits[0][1] >= 3
    for axes in panels:
        texts = [text.get_text() for text in axes.texts]
        assert any(text.replace(".", "").isdigit() for text in texts)
        assert {"a", "b", "c"} <= set(texts)
        assert "Euclidean" in axes.get_xlabel()


def test_decades_have_levels_by_logarithms() -> None:
    figure = plane_figure(results.plane(scale=1e3))
    levels = [level for level in figure.axes[0].collections[0].levels if level > 0]
    assert max(levels) / min(levels) > 1e3
    steps = [b / a for a, b in pairwise(levels)]
    assert max(steps) / min(steps) < 2
    linear = plane_figure(results.plane()).axes[0].collections[0].levels
    assert len({round(b - a, 6) for a, b in pairwise(linear)}) == 1


def test_what_is_missing_is_hatched_and_said() -> None:
    figure = plane_figure(results.plane(missing=5))
    assert [bool(axes.patch.get_hatch()) for axes in figure.axes[:2]] == [True, False]
    assert "hatched" in figure.legends[0].get_texts()[0].get_text()
    assert not plane_figure(results.plane()).legends


def test_surroundings() -> None:
    figure = plane_figure(results.around())
    axes = figure.axes[0]
    assert axes.get_xlabel() == "x: gradient (in lengths of 2)"
    assert list(axes.lines[0].get_xdata()) == [0.0, 0.5, 1.0]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["trajectory, in order"]
    line = line_figure(results.line())
    assert [axes.get_xlabel() for axes in line.axes] == ["gradient, in lengths of 2"] * 2
    assert [axes.get_ylabel() for axes in line.axes] == ["error", "loss"]
    assert list(line.axes[1].lines[0].get_ydata()) == [3, 0, 3]


def test_nothing_and_one_value_alone() -> None:
    body = results.plane()
    body["points"] = [point | {"train_error": None, "test_error": 0.25} for point in body["points"]]
    figure = plane_figure(body)
    assert [bool(axes.collections) for axes in figure.axes[:2]] == [False, True]


def test_what_stands_in_for_networks_is_marked_as_none() -> None:
    axes = plane_figure(results.plane(third="random")).axes[0]
    assert [line.get_marker() for line in axes.lines] == ["o", "X", "X"]
    names = [text.get_text() for text in axes.texts][-3:]
    assert names == ["a", "random direction 1", "random direction 2"]


def test_networks_outside_of_the_picture_are_named_at_its_edge() -> None:
    inside, right, below = (
        {"network": f"{k}.st", "x": x, "y": y} for k, (x, y) in enumerate([(1, 1), (9, 1), (1, -9)])
    )
    figure = plane_figure(results.plane() | {"projected": [inside, right, below]})
    for axes in figure.axes[:2]:
        marks = {line.get_marker(): line for line in axes.lines if line.get_marker() in {"<", ">", "v", "^"}}
        assert {marker: line.get_xydata().tolist() for marker, line in marks.items()} == {
            ">": [[1.5, 1.0]],
            "v": [[1.0, 0.0]],
        }
        assert {"0", "1", "2"} <= {text.get_text() for text in axes.texts}
    assert OUTSIDE in [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize("factor", [1.0, 2.5, 100.0])
def test_ticks_of_long_planes_do_not_touch(factor: float) -> None:
    body = results.plane()
    body |= {"x": [x * factor for x in body["x"]]}
    for item in [*body["networks"], *body["points"]]:
        item["x"] *= factor
    figure = plane_figure(body, look=Look(width=3.3))
    figure.draw_without_rendering()
    assert ("different scales" in figure.get_suptitle()) == (factor == 100)
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            labels = [label for label in axis.get_ticklabels() if label.get_text() and label.get_visible()]
            low, high = sorted(axis.get_view_interval())
            boxes = [
                label.get_window_extent()
                for label, tick in zip(labels, axis.get_ticklocs(), strict=False)
                if low <= tick <= high
            ]
            assert not any(a.overlaps(b) for a, b in pairwise(boxes)), factor


def test_a_principal_plane_is_called_one() -> None:
    assert plane_figure(results.around()).get_suptitle() == "principal plane of 3 networks: 0 … 2"
    assert plane_figure(results.plane()).get_suptitle() == "plane through a, b, c"


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_figures_are_as_high_as_planes(factor: float) -> None:
    body = results.plane(loss=True)
    body |= {"x": [x * factor for x in body["x"]]}
    figure = plane_figure(body, look=Look(width=3.4))
    figure.draw_without_rendering()
    heights = [axes.get_position().height for axes in figure.axes[:4]]
    assert sum(heights) > 1 - 4 * 0.75 / figure.get_figheight() - 0.1


def test_projected_networks_are_named_and_those_off_the_plane_hollow() -> None:
    near = {"network": "near.st", "x": 1.0, "y": 1.0, "distance": 0.01}
    far = {"network": "far.st", "x": 1.0, "y": 1.01, "distance": 1.0}
    body = results.plane() | {"projected": [near, far]}
    figure = plane_figure(body)
    axes = figure.axes[0]
    filled, hollow = (line for line in axes.lines if line.get_marker() == "D")
    assert (filled.get_xydata().tolist(), hollow.get_xydata().tolist()) == ([[1, 1]], [[1, 1.01]])
    assert (filled.get_markerfacecolor(), hollow.get_markerfacecolor()) == ("white", "none")
    said = [text.get_text() for text in figure.legends[0].get_texts()]
    assert said == ["projected networks", "projected networks, off the plane"]
    places = {text.get_text(): text for text in axes.texts}
    assert {"near", "far"} <= set(places)
    figure.draw_without_rendering()
    assert not places["near"].get_window_extent().overlaps(places["far"].get_window_extent())
    named = plane_figure(body, look=Look(labels=["A", "B", "C", "N", "F"])).axes[0]
    assert {"A", "N", "F"} <= {text.get_text() for text in named.texts}
    corners = plane_figure(body, look=Look(labels=["A", "B", "C"])).axes[0]
    assert {"A", "near"} <= {text.get_text() for text in corners.texts}


@pytest.mark.parametrize("scale", [1.0, 20.0, 300.0, 1e5])
def test_lines_filling_and_bar_have_the_same_levels(scale: float) -> None:
    figure = plane_figure(results.plane(scale=scale))
    axes, bar = figure.axes[0], figure.axes[2]
    filling, lines = (next(each for each in axes.collections if each.filled == filled) for filled in (True, False))
    assert set(lines.levels) <= set(filling.levels)
    assert len(filling.levels) >= 5
    assert list(bar.get_yticks()) == pytest.approx(list(filling.levels))


def test_errors_end_at_one_and_none_is_below_zero() -> None:
    body = results.plane()
    points = [point | {"train_error": point["x"] / 1.55, "test_error": 0.0} for point in body["points"]]
    filling = plane_figure(body | {"points": points}).axes[0].collections[0]
    assert (filling.levels[0], filling.levels[-1]) == (0, 1)
    assert filling.colorbar is None or filling.colorbar.extend == "neither"


def test_labels_of_contours_are_not_at_the_frame() -> None:
    figure = plane_figure(results.plane())
    figure.draw_without_rendering()
    for axes in figure.axes[:2]:
        for text in axes.texts:
            if text.get_text().replace(".", "").isdigit():
                places = axes.transAxes.inverted().transform(axes.transData.transform(text.get_position()))
                assert all(0.05 < place < 0.95 for place in places), text


def test_the_network_of_a_direction_is_named_where_it_lies() -> None:
    body = results.around()
    body["directions"][0] = {"direction": "n/other.st", "length": 2.0}
    axes = plane_figure(body).axes[0]
    [named] = [text for text in axes.texts if text.get_text() == "other"]
    assert named.xy == (1.0, 0.0)
    body["directions"][0]["normalize"] = "filter"  # which leads elsewhere
    assert "other" not in {text.get_text() for text in plane_figure(body).axes[0].texts}
