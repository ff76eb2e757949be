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


def test_losses_have_panels_and_random_directions_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures: list[Any] = []
    monkeypatch.setattr(plane_figure, "save", lambda figure, *_, **__: figures.append(figure))
    drawn = body()
    for corner in drawn["networks"][1:]:
        corner |= {"network": "random direction", "third": "random"}
    drawn["points"] = [point | {"train_loss": point["x"], "test_loss": 2 * point["y"]} for point in drawn["points"]]
    plot_plane(tmp_path / "plane.png", drawn, force=False)
    panels, bars = figures[-1].axes[:4], figures[-1].axes[4:]
    names = ["train error", "test error", "train loss", "test loss"]
    assert [bar.get_ylabel() for bar in bars] == names
    figures[-1].draw_without_rendering()
    for axes, highest in zip(panels, (1, 1, 1, 2), strict=True):
        assert axes.collections[0].get_clim()[1] == pytest.approx(highest, abs=0.11)
        assert [text.get_text() for text in axes.texts] == ["a", "random direction 1", "random direction 2"]
        assert all(text.get_path_effects() for text in axes.texts)
        edge = axes.get_window_extent()
        boxes = [text.get_window_extent() for text in axes.texts]
        assert all(edge.x0 <= box.x0 and box.x1 <= edge.x1 for box in boxes)


def test_trajectories_are_joined_and_further_networks_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures: list[Any] = []
    monkeypatch.setattr(plane_figure, "save", lambda figure, *_, **__: figures.append(figure))
    drawn = body()
    drawn["networks"] = drawn["networks"][:1]
    drawn["directions"] = [{"direction": "pca", "explained_variance": share, "length": 1.0} for share in (0.75, 0.2)]
    drawn["trajectory"] = [{"network": f"{k}.st", "x": 1.0 - k, "y": 0.5 * k, "distance": 0.1} for k in range(2)]
    drawn["projected"] = [{"network": "b.st", "x": 0.2, "y": 0.9, "distance": 2.0}]
    plot_plane(tmp_path / "plane.png", drawn, force=False)
    axes = figures[-1].axes[0]
    _, trajectory, projected = axes.lines
    assert (list(trajectory.get_xdata()), list(trajectory.get_ydata())) == ([1, 0], [0, 0.5])
    assert trajectory.get_linestyle() == "-"
    assert (list(projected.get_xdata()), list(projected.get_ydata())) == ([0.2], [0.9])
    assert [axes.get_xlabel(), axes.get_ylabel()] == ["x: pca (75% of the variance)", "y: pca (20% of the variance)"]
