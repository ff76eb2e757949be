"""Figures of lines through one network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from landscape_cli.figures import line as line_figure
from landscape_cli.figures.line import plot_line

pytest.importorskip("matplotlib")


@pytest.mark.parametrize("losses", [False, True])
def test_curves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, losses: bool) -> None:
    figures: list[Any] = []
    monkeypatch.setattr(line_figure, "save", lambda figure, *_, **__: figures.append(figure))
    points = [{"x": x, "train_error": x * x, "test_error": None if x else 0.5} for x in (-1.0, 0.0, 1.0)]
    if losses:
        points = [point | {"train_loss": 2.0, "test_loss": 3.0} for point in points]
    body = {
        "networks": [{"network": "a.st", "x": 0.0}],
        "directions": [{"direction": "gradient", "length": 1.0}],
        "points": points,
    }
    plot_line(tmp_path / "l.png", body, force=False)
    panels = figures[-1].axes
    assert [panel.get_ylabel() for panel in panels] == ["error", "loss"][: 1 + losses]
    train, test, zero = panels[0].lines
    assert (list(train.get_xdata()), list(train.get_ydata())) == ([-1, 0, 1], [1, 0, 1])
    assert (list(zero.get_xdata()), test.get_label()) == ([0, 0], "test")
    assert panels[0].get_xlabel() == "gradient, in lengths of 1"
    assert figures[-1].get_suptitle() == "a.st"
