"""Figures of planes: what stands in for a network is marked as none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from landscape_cli.figures import plane as plane_figure
from landscape_cli.figures.plane import plot_plane

pytest.importorskip("matplotlib")


def body(**third: str) -> dict[str, Any]:
    corners = [("a", "a.st", 0.0, 0.0), ("b", "b.st", 1.0, 0.0), ("c", "origin" if third else "c.st", 0.5, 1.0)]
    networks = [{"name": name, "network": network, "x": x, "y": y} for name, network, x, y in corners]
    networks[2] |= third
    points = [{"x": x, "y": y, "train_error": x * y, "test_error": y} for y in (0.0, 1.0) for x in (0.0, 1.0)]
    return {"networks": networks, "x": [0.0, 1.0], "y": [0.0, 1.0], "points": points}


def test_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures: list[Any] = []
    monkeypatch.setattr(plane_figure, "save", lambda figure, *_, **__: figures.append(figure))
    for third, marks, words in (
        ({}, ["o"] * 3, ["a", "b", "c"]),
        ({"third": "origin"}, ["o", "o", "X"], ["a", "b", "origin"]),
    ):
        plot_plane(tmp_path / "plane.png", body(**third), force=False)
        for axes in figures[-1].axes[:2]:
            assert [line.get_marker() for line in axes.lines] == marks
            assert [text.get_text() for text in axes.texts] == words
