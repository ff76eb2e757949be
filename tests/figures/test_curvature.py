"""Figures of curvature: eigenvalues, densities, and what is missing."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from landscape_cli.choices import HessianMetric
from landscape_cli.figures.curvature import curvature_figure, plot_curvature
from landscape_cli.measures.curvature_result import Curvature, SpectralDensity

pytest.importorskip("matplotlib")

DENSITY = SpectralDensity(((-1.0, 0.0, 9.0),), ((0.25, 0.5, 0.25),))
RESULT = Curvature(
    metric=HessianMetric.RELATIVE,
    dimension=9,
    loss=0.1,
    error=0.0,
    norm=1.0,
    eigenvalues=(9.0, 4.0),
    residuals=(0.1, 0.2),
    eigenvalues_converged=(True, True),
    smallest=-1.0,
    smallest_residual=0.1,
    smallest_converged=True,
    trace_draws=(3.0, 5.0),
    density=DENSITY,
    products=20,
)
MISSING = replace(RESULT, eigenvalues=(math.nan,) * 2, residuals=(math.nan,) * 2, smallest=math.nan, density=None)


def test_eigenvalues_and_densities(tmp_path: Path) -> None:
    figure = curvature_figure({"a.st": RESULT, "b.st": MISSING})
    eigenvalues, density = figure.axes
    assert eigenvalues.lines[0].get_ydata().tolist() == [9, 4]
    assert eigenvalues.get_ylabel() == "eigenvalue of D H D (training loss)"
    assert [text.get_text() for text in eigenvalues.get_legend().get_texts()] == ["a.st: smallest", "a.st (trace 4)"]
    [line] = density.lines
    heights = line.get_ydata()
    assert np.nanmax(heights) == pytest.approx(0.5 / (0.1 * math.sqrt(2 * math.pi)), rel=0.02)
    assert not np.isnan(heights).any()  # it goes below the panel between the nodes
    assert density.get_ylim()[0] == pytest.approx(1e-6 * np.nanmax(heights))
    assert "Gaussian of 1%" in density.get_ylabel()
    assert [text.get_text() for text in density.get_legend().get_texts()] == ["a.st"]
    plot_curvature(tmp_path / "a.png", {"a.st": RESULT}, force=False)


def test_without_density_or_eigenvalues() -> None:
    bare = replace(RESULT, metric=HessianMetric.EUCLIDEAN, eigenvalues=(), residuals=(), smallest=None, density=None)
    [axes] = curvature_figure({"a.st": bare, "b.st": replace(bare, trace_draws=(math.nan,))}).axes
    assert axes.get_ylabel() == "trace of H (training loss)"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a.st"]
    [axes] = curvature_figure({"a.st": replace(bare, density=DENSITY)}).axes
    assert axes.get_ylabel().startswith("density")
    [axes] = curvature_figure({"a.st": replace(bare, smallest=-1.0)}).axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a.st: smallest"]
    single = replace(RESULT, density=SpectralDensity(((0.0,),), ((1.0,),)))
    assert len(curvature_figure({"a.st": single}).axes) == 2
