"""Networks as lines: colors by kind, means of families, and of many of one sampler."""

from __future__ import annotations

import pytest

from landscape_cli.figures.curvature import curvature_figure
from landscape_cli.figures.families import families_figure
from landscape_cli.figures.figure import DEFAULT
from landscape_cli.figures.flatness import flatness_figure
from landscape_cli.figures.networks import lines_of
from landscape_cli.figures.radial import radial_figure
from landscape_cli.figures.style import SAMPLERS
from tests.support import results

pytest.importorskip("matplotlib")


def test_few_networks_have_a_line_each_in_their_kinds_color() -> None:
    lines = lines_of(["sgd-1.st", "sgd-2.st", "adv-1.st"], DEFAULT)
    assert [(line.label, line.members) for line in lines] == [("sgd-1", (0,)), ("sgd-2", (1,)), ("adv-1", (2,))]
    assert [line.style["color"] for line in lines] == [SAMPLERS[kind]["color"] for kind in ("sgd", "sgd", "adv")]
    assert lines[0].style != lines[1].style


def test_many_of_a_sampler_are_their_mean() -> None:
    names = [f"{kind}-{k}.st" for kind in ("sgd", "rsgd") for k in range(4)]
    lines = lines_of(names, DEFAULT)
    assert [(line.label, len(line.members)) for line in lines] == [("sgd (4)", 4), ("rsgd (4)", 4)]
    assert len(lines_of([f"net-{k}.st" for k in range(9)], DEFAULT)) == 9  # of no known kind, which is none
    [axes] = flatness_figure(results.energy(*names)).axes
    assert axes.lines[0].get_ydata().tolist() == pytest.approx([0.25, 0.5])  # of 1, 2, 3, 4 times σ
    assert len(axes.collections) == 2


def test_families_are_their_mean() -> None:
    files = {"x-*.st": ["x-1.st", "x-2.st"], "y.st": ["y.st"]}
    figure = flatness_figure(results.energy("x-1.st", "x-2.st", "y.st", families=files))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["x-* (2)", "y"]
    assert figure.axes[0].lines[0].get_ydata().tolist() == pytest.approx([0.15, 0.3])
    assert "one standard error" in figure.get_suptitle()
    assert "one deviation" in figure.get_suptitle()


def test_pairs_of_families() -> None:
    figure = families_figure(results.families())
    assert [axes.get_ylabel() for axes in figure.axes] == ["train error", "test error"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["sgd – sgd (3)", "sgd – adv (3)"]
    assert figure.axes[0].lines[0].get_color() == SAMPLERS["sgd"]["color"]
    assert "band: one deviation" in figure.get_suptitle()


def test_radial_panels_directions_and_widths() -> None:
    splits = ("train", "test", "train_loss", "test_loss")
    figure = radial_figure(results.radial("a.st", splits=splits))
    assert [axes.get_ylabel() for axes in figure.axes] == ["train error", "test error", "train loss", "test loss"] * 2
    assert [text.get_text() for text in figure.axes[4].get_xticklabels()] == ["0.5", "3"]
    figure = radial_figure(results.radial("a.st", "c.st"))
    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    assert sorted(shown[:4]) == [f"{name} ({direction})" for name in "ac" for direction in ("radial", "random")]
    assert shown[4:] == ["angular width (growth 0.1)"]
    widths = figure.axes[-1]
    assert [line.get_ydata()[0] for line in widths.lines if line.get_marker() not in "_|"] == [7.0, 7.0]
    assert [text.get_text() for text in widths.get_xticklabels()] == ["a", "c"]
    assert widths.get_ylabel() == "angular width, train (degrees)"
    assert radial_figure(results.radial("a.st", value=None)).legends == []


def test_curvature_panels() -> None:
    figure = curvature_figure(results.curvature("a.st"), results.curvature("b.st", eigenvalues=[None, None]))
    eigenvalues, density = figure.axes
    assert eigenvalues.lines[0].get_ydata().tolist() == [9, 4]
    assert eigenvalues.get_ylabel() == "eigenvalue of D H D (training loss)"
    assert density.get_yscale() == "log"
    assert "a (trace 4)" in [text.get_text() for text in figure.legends[0].get_texts()]
    bare = {"eigenvalues": [], "residuals": [], "smallest": None, "density": None}
    [axes] = curvature_figure(results.curvature("a.st", **bare)).axes
    assert axes.get_ylabel() == "trace of D H D (training loss)"
    [axes] = curvature_figure(results.curvature("a.st", **bare | {"smallest": -1.0})).axes
    assert [line.get_ydata()[0] for line in axes.lines] == [-1.0, 0]
