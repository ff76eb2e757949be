"""Figures of lines through one network."""

from __future__ import annotations

import pytest

from landscape_cli.figures.line import line_figure

pytest.importorskip("matplotlib")


@pytest.mark.parametrize("losses", [False, True])
def test_curves(losses: bool) -> None:
    points = [{"x": x, "train_error": x * x, "test_error": None if x else 0.5} for x in (-1.0, 0.0, 1.0)]
    if losses:
        points = [point | {"train_loss": 2.0, "test_loss": 3.0} for point in points]
    direction = {"direction": "gradient", "length": 1.0}
    panels = line_figure(
        {"networks": [{"network": "a.st", "x": 0.0}], "directions": [direction], "points": points}
    ).axes
    assert [panel.get_ylabel() for panel in panels] == ["error", "loss"][: 1 + losses]
    train, zero = panels[0].lines[0], next(line for line in panels[0].lines if list(line.get_xdata()) == [0, 0])
    assert (list(train.get_xdata()), list(train.get_ydata())) == ([-1, 0, 1], [1, 0, 1])
    assert list(zero.get_ydata()) == [0, 1]
    assert panels[0].get_xlabel() == "gradient, in lengths of 1"
