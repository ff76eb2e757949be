"""Every kind of result is drawn, the same each time, and what is no result is refused in a line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from landscape_cli.errors import ResultError
from landscape_cli.figures.draw import draw_to, figure_of
from landscape_cli.figures.figure import Look, check_plot
from tests.support import results

pytest.importorskip("matplotlib")


@pytest.mark.parametrize("kind", [*results.ALL, "losses of a plane"])
def test_every_kind_is_drawn_within_the_figure(kind: str) -> None:
    """At a column's width, no text is cut or below a legible size, and no legend lies on a panel."""
    figure = figure_of(results.ALL.get(kind, results.plane(loss=True)), look=Look(width=3.3))
    assert figure.get_figwidth() == pytest.approx(3.3)
    figure.draw_without_rendering()
    texts = [text for text in [*figure.texts, *(t for axes in figure.axes for t in axes.texts)] if text.get_text()]
    texts += [text for legend in figure.legends for text in legend.get_texts()]
    texts += [axes.yaxis.label for axes in figure.axes] + [axes.xaxis.label for axes in figure.axes]
    for text in texts:
        box = text.get_window_extent()
        if text.get_text() and text.get_visible() and box.width:
            assert figure.bbox.x0 - 1 <= box.x0, text
            assert box.x1 <= figure.bbox.x1 + 1, text
            assert text.get_fontsize() >= 4.5
    for legend in figure.legends:
        top = legend.get_window_extent().y1
        assert all(axes.get_window_extent().y0 >= top - 1 for axes in figure.axes)
    pyplot = sys.modules.get("matplotlib.pyplot")  # which other tests may have imported
    assert pyplot is None or not pyplot.get_fignums()


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_files_are_the_same_each_time_and_hold_text(tmp_path: Path, suffix: str) -> None:
    contents = []
    for name in ("a", "b"):
        draw_to(tmp_path / f"{name}.{suffix}", results.path(loss=True), look=Look(title="A $^$ title", dpi=70))
        contents.append((tmp_path / f"{name}.{suffix}").read_bytes())
    assert contents[0] == contents[1]
    assert len(contents[0]) > 1000
    if suffix == "svg":
        assert b">A $^$ title</text>" in contents[0]
        assert b">barrier 0.4</text>" in contents[0]
    if suffix == "pdf":
        assert b"/Type3" not in contents[0]
        assert b"/CreationDate" not in contents[0]
    with pytest.raises(ResultError, match="force"):
        check_plot(tmp_path / f"a.{suffix}", force=False)
    with pytest.raises(ResultError, match=r"must end in \.png, \.pdf, \.svg"):
        check_plot(tmp_path / "x.txt", force=False)


def test_labels_and_limits() -> None:
    figure = figure_of(results.energy("x.st", "y.st"), look=Look(labels=("one", "two"), ylim=(-1, 3), title=""))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["one", "two"]
    assert figure.axes[0].get_ylim() == (-1, 3)
    assert figure.get_suptitle() == ""
    with pytest.raises(ResultError, match="3, and 2 things are drawn"):
        figure_of(results.energy("x.st", "y.st"), look=Look(labels=("one", "two", "three")))


def test_pictures_beyond_any_screen_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match=r"a.png would have 240,000 by [0-9,]+ pixels, and 20,000 a side"):
        draw_to(tmp_path / "a.png", results.path(), look=Look(width=100, dpi=2400))
    with pytest.raises(ResultError, match="pixels"):  # by its height alone
        draw_to(tmp_path / "a.png", results.plane(), look=Look(width=8, dpi=2499, title=" ".join(["x"] * 3000)))
    draw_to(tmp_path / "a.svg", results.path(), look=Look(dpi=24000))
    assert [file.name for file in tmp_path.iterdir()] == ["a.svg"]
