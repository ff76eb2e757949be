"""Figures of paths: what is drawn of a result."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from landscape_cli.errors import ResultError
from landscape_cli.figures.families import families_figure
from landscape_cli.figures.figure import check_plot, save
from landscape_cli.figures.path import path_figure
from landscape_cli.measures.families import Pair, path_summary
from landscape_cli.measures.path_result import PathResult

pytest.importorskip("matplotlib")


def result(*, orders: int, missing: bool = False) -> PathResult:
    errors = torch.rand(orders, 5, generator=torch.Generator().manual_seed(orders), dtype=torch.float64)
    errors[:, 3] = math.nan if missing else errors[:, 3]
    return PathResult("linear", {"train": errors, "test": errors / 2}, {"train": errors, "test": errors}, orders > 1)


def test_curves_and_bands() -> None:
    [axes] = path_figure(result(orders=1), title="a to b").axes
    assert [line.get_label() for line in axes.lines] == ["train", "test"]
    assert axes.lines[0].get_xdata().tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert axes.lines[0].get_ydata().tolist() == result(orders=1).errors["train"][0].tolist()
    assert not axes.collections
    assert axes.get_title() == "a to b"
    assert axes.get_ylim() == pytest.approx((0, 1.1 * float(result(orders=1).errors["train"].max())))
    [axes] = path_figure(result(orders=3), title="").axes
    assert len(axes.collections) == 2
    assert axes.lines[1].get_ydata().tolist() == pytest.approx(result(orders=3).errors["test"].mean(0).tolist())
    [axes] = path_figure(result(orders=1, missing=True), title="").axes
    assert math.isnan(axes.lines[0].get_ydata()[3])


def test_families() -> None:
    pairs = [Pair(0, 1, ("a", "b")), Pair(0, 2, ("a", "b")), Pair(0, 3, ("a", "c"))]
    measured = [result(orders=k).figures() for k in (1, 1, 1)]
    figure = families_figure(path_summary(pairs, measured), title="t")
    assert [axes.get_ylabel() for axes in figure.axes] == ["train error", "test error"]
    assert [line.get_label() for line in figure.axes[0].lines] == ["a – b (2)", "a – c (1)"]
    assert len(figure.axes[0].collections) == 1


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_files(tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"x.{suffix}"
    save(path_figure(result(orders=1), title=""), out, force=False)
    assert out.stat().st_size > 1000
    with pytest.raises(ResultError, match="force"):
        check_plot(out, force=False)
    with pytest.raises(ResultError, match=r"must end in \.png, \.pdf, \.svg"):
        check_plot(tmp_path / "x.txt", force=False)
