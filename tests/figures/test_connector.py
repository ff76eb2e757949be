"""Figures of connectors: the triangle where points are known, and facets."""

from __future__ import annotations

import pytest

from landscape_cli.figures.connector import connector_figure
from tests.support import results

pytest.importorskip("matplotlib")


def test_the_triangle_before_and_after() -> None:
    figure = connector_figure(results.connector(points=True))
    left, right, bar = figure.axes
    assert (left.get_title(), right.get_title(), bar.get_ylabel()) == ("before training", "trained", "train error")
    assert {axes.collections[0].get_clim() for axes in (left, right)} == {(0.0, 1.0)}
    assert {text.get_text() for text in left.texts} == {"a", "b", "c", "ab", "ac", "bc", "abc"}
    places = {text.get_text(): text.xy for text in left.texts}
    assert places["ab"] == pytest.approx((0.5, 0))
    assert places["abc"] == pytest.approx((0.5, 3**0.5 / 6))


def test_rows_alone_are_titled_by_their_provenance() -> None:
    rows = {"points": results.connector(points=True)["points"]}
    assert connector_figure(rows).get_suptitle() == "connector"
    arguments = {"start": "n/x.st", "end": "n/y.st", "more": ["n/z.st"], "shape": "complex", "geometry": "linear"}
    titled = connector_figure(rows | {"provenance": {"arguments": arguments}}).get_suptitle()
    assert titled == "connector (complex, linear) of a: x, b: y, c: z"


def test_what_is_missing_is_left_out() -> None:
    whole, part = (
        connector_figure(results.connector(points=True, missing=missing)).axes[1] for missing in (False, True)
    )
    areas = [axes.collections[0]._triangulation.get_masked_triangles() for axes in (whole, part)]
    assert len(areas[1]) < len(areas[0])


def test_facets() -> None:
    figure = connector_figure(results.connector())
    assert [axes.get_ylabel() for axes in figure.axes] == ["train error", "test error"]
    highest, mean, before, *_ = figure.axes[0].lines
    assert list(highest.get_ydata()) == [0.3] * 6
    assert list(mean.get_ydata()) == [0.2] * 6
    assert before.get_ydata()[0] == 0.6
    assert next(iter(figure.axes[0].get_xticklabels())).get_text() == "a-ab-abc"
    assert all(line.get_zorder() < highest.get_zorder() for line in figure.axes[0].lines[2:4])
