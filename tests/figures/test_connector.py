"""Figures of connectors: the triangle, and facets."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from landscape_cli.figures.connector import connector_figure
from landscape_cli.geometry.simplicial import SimplicialComplex, make_complex
from landscape_cli.measures.connector_result import ConnectorResult, ConnectorVertex, PointScores

pytest.importorskip("matplotlib")


def result(complex_: SimplicialComplex, *, missing: int | None = None) -> ConnectorResult:
    grid = complex_.grid(4)
    errors = torch.rand(len(grid.points), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    before = PointScores({"train": errors, "test": errors}, {"train": errors, "test": errors})
    after = errors / 10
    after[torch.tensor([missing in point for point in grid.points])] = math.nan
    trained = PointScores({"train": after, "test": after}, before.loss)
    vertices = tuple(ConnectorVertex(None) for _ in complex_.vertices)
    return ConnectorResult(complex_, "linear", ("a", "b", "c"), vertices, grid, trained, before, before)


def test_the_triangle_before_and_after() -> None:
    figure = connector_figure(result(make_complex(3)), title="t")
    left, right, bar = figure.axes
    assert (left.get_title(), right.get_title(), bar.get_ylabel()) == ("before training", "trained", "train error")
    limits = {axes.collections[0].get_clim() for axes in (left, right)}
    errors = result(make_complex(3)).before.error["train"]
    assert limits == {(0.0, float(errors.max()))}
    cells = [len(axes.collections[0]._triangulation.triangles) for axes in (left, right)]
    assert cells == [6 * 9, 6 * 9]  # each edge in three
    assert {text.get_text() for text in left.texts} == {"a", "b", "c", "ab", "ac", "bc", "abc"}


def test_what_is_missing_is_left_out() -> None:
    figure = connector_figure(result(make_complex(3), missing=3), title="")
    cells = [len(axes.collections[0]._triangulation.triangles) for axes in figure.axes[:2]]
    assert cells[0] == 6 * 9
    assert cells[1] < 6 * 9
    figure = connector_figure(result(make_complex(3), missing=6), title="")
    assert [len(axes.collections) for axes in figure.axes[:2]] == [1, 0]


@pytest.mark.parametrize("complex_", [make_complex(2), make_complex(4), make_complex(3, "star"), make_complex(9)])
def test_others_by_facet(complex_: SimplicialComplex) -> None:
    measured = result(complex_)
    figure = connector_figure(measured, title="t")
    assert [axes.get_ylabel() for axes in figure.axes] == ["train error", "test error"]
    before, highest, mean = figure.axes[0].lines
    facets = [facet["train"] for facet in measured.to_dict()["facets"]]
    assert highest.get_ydata() == pytest.approx([facet["max"] for facet in facets])
    assert mean.get_ydata() == pytest.approx([facet["mean"] for facet in facets])
    assert max(before.get_ydata()) == pytest.approx(float(measured.before.error["train"].max()))


@pytest.mark.parametrize("complex_", [make_complex(3), make_complex(3, "star")])
def test_losses_are_drawn_where_they_were_measured(complex_: SimplicialComplex) -> None:
    measured = result(complex_)
    losses = {split: 3 * values for split, values in measured.after.error.items()}
    measured = replace(measured, loss=True, after=PointScores(measured.after.error, losses))
    figure = connector_figure(measured, title="t")
    names = ["train error", "test error", "train loss", "test loss"]
    labels = [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel() not in {"", "facet"}]
    assert labels == names
    if complex_.shape == "complex":
        assert [len(axes.collections) for axes in figure.axes[:8]] == [1] * 8
        assert figure.axes[5].collections[0].get_array().max() == pytest.approx(float(losses["train"].max()))
    else:
        _, highest, _ = figure.axes[2].lines
        assert max(highest.get_ydata()) == pytest.approx(float(losses["train"].max()))
