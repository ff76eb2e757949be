"""Planes as surfaces, static and in a page of its own."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from landscape_cli.errors import ResultError
from landscape_cli.figures.draw import draw_to, figure_of
from landscape_cli.figures.figure import Look
from landscape_cli.figures.surface import check_page
from tests.support import results

pytest.importorskip("matplotlib")


@pytest.mark.parametrize("missing", [None, 5])
def test_surface(missing: int | None) -> None:
    figure = figure_of(results.plane(missing=missing), surface=True)
    axes = figure.axes[0]
    assert axes.name == "3d"
    assert [text.get_text().strip() for text in axes.texts] == ["a", "b", "c"]
    low, high = axes.get_zlim()
    assert low < 0  # where the contours lie
    assert high >= 3
    with pytest.raises(ResultError, match="a surface is of a plane"):
        figure_of(results.path(), surface=True)


def test_page(tmp_path: Path) -> None:
    pytest.importorskip("plotly")
    body = results.plane(loss=True, missing=5)
    for name in ("a", "b"):
        draw_to(tmp_path / f"{name}.html", body, look=Look(title="</script><b>x"))
    text = (tmp_path / "a.html").read_text()
    assert text == (tmp_path / "b.html").read_text()
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)\s*=", text)  # nothing is fetched
    start = text.index("Plotly.newPlot(", text.index('id="surface"'))
    data, _ = json.JSONDecoder().raw_decode(text[text.index("[", start) :])
    heights = [data[0]["z"][k] for k in range(3)]
    expected = [point["train_error"] for point in body["points"]]
    assert [value for row in heights for value in row] == expected
    assert [trace["type"] for trace in data] == ["surface", *["scatter3d"] * 3] * 4
    assert data[1]["text"] == ["a", "b", "c"]
    assert "</script><b>" not in text


def test_page_without_plotly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotly", None)
    with pytest.raises(ResultError, match=r"landscape-cli\[interactive\]"):
        check_page(Path("x.html"))
