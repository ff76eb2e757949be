"""Figures of radial profiles: what is measured is drawn, and what is drawn is said."""

from __future__ import annotations

from typing import Any

import pytest

from landscape_cli.figures.radial import radial_figure

pytest.importorskip("matplotlib")


def profile(direction: str, kind: str, value: float | None, splits: tuple[str, ...]) -> dict[str, Any]:
    strengths = [5.0, 10.0] if kind == "angles" else [0.5, 3.0]
    means = {"mean": [value, value], "standard_error": [None, None]}
    return {"direction": direction, kind: strengths} | dict.fromkeys(splits, means)


def network(name: str, splits: tuple[str, ...] = ("train",), value: float | None = 0.5) -> dict[str, Any]:
    start = {split if split.endswith("_loss") else f"{split}_error": value for split in splits}
    profiles = [profile("random", "angles", value, splits), profile("b.st", "angles", None, splits)]
    profiles.append(profile("radial", "factors", value, splits))
    width = {"growth": 0.1, "angle": 7.0}
    return {"network": name} | start | {"profiles": profiles, "width": width}


def test_a_panel_for_each_error_and_loss() -> None:
    splits = ("train", "test", "train_loss", "test_loss")
    figure = radial_figure([network("a.st", splits)])
    labels = ["train error", "test error", "train loss", "test loss"]
    assert [axes.get_ylabel() for axes in figure.axes] == labels * 2
    assert [axes.get_xlabel() for axes in figure.axes[::4]] == [
        "angle of every unit (degrees)",
        "factor of all weights",
    ]
    factors = figure.axes[4]
    assert [text.get_text() for text in factors.get_xticklabels()] == ["0.5", "3"]
    assert not factors.get_xticks(minor=True).size


def test_colors_are_networks_and_the_legend_is_of_what_is_drawn() -> None:
    figure = radial_figure([network("a.st"), network("c.st"), network("d.st", value=None)])
    [legend] = figure.legends
    assert all(axes.get_legend() is None for axes in figure.axes)  # it is beneath the panels, and hides no curve
    shown = [text.get_text() for text in legend.get_texts()]
    width = "angular width at a growth of 0.1"
    assert sorted(shown) == sorted([*(f"{n} ({d})" for n in ("a.st", "c.st") for d in ("random", "radial")), width])
    colors = {line.get_label(): line.get_color() for axes in figure.axes for line in axes.lines}
    assert colors["a.st (random)"] == colors["a.st (radial)"] != colors["c.st (random)"] == colors["c.st (radial)"]
    styles = {line.get_label(): line.get_linestyle() for axes in figure.axes for line in axes.lines}
    assert styles["a.st (random)"] == styles["c.st (random)"] != styles["a.st (radial)"]


def test_nothing_to_draw() -> None:
    assert radial_figure([network("a.st", value=None)]).legends == []
