"""Planes as surfaces, static and in a page of its own."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from landscape_cli.errors import ResultError
from landscape_cli.figures.draw import draw_to, figure_of
from landscape_cli.figures.figure import Look
from landscape_cli.figures.surface import check_page, surface_page
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
    data = json.loads(_data_of(text))
    heights = [data[0]["z"][k] for k in range(3)]
    expected = [point["train_error"] for point in body["points"]]
    assert [value for row in heights for value in row] == expected
    assert [trace["type"] for trace in data] == ["surface", *["scatter3d"] * 4] * 4
    assert data[1]["text"] == ["a", "b", "c"]
    assert "</script><b>" not in text


AWAY = {"projected": [{"network": "far/off.st", "x": 9.0, "y": 0.5, "train_error": 0.4}]}


def test_networks_outside_are_at_the_edge_of_surfaces() -> None:
    axes = figure_of(results.plane() | AWAY, surface=True).axes[0]
    assert [text.get_text().strip() for text in axes.texts] == ["off", "a", "b", "c"]
    assert axes.get_xlim()[1] < 2
    pytest.importorskip("plotly")
    [*_, trace] = json.loads(_data_of(surface_page(results.plane() | AWAY)))[:5]
    assert (trace["x"], trace["y"], trace["z"], trace["text"]) == ([1.5], [0.5], [0.4], ["off"])


def _data_of(page: str) -> str:
    """Return the traces in a page."""
    start = page.index("Plotly.newPlot(", page.index('id="surface"'))
    data, _ = json.JSONDecoder().raw_decode(page[page.index("[", start) :])
    return json.dumps(data)


BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
POLICY = "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:"
WATCH = """<script>
var wrong = [];
addEventListener("error", e => wrong.push("" + e.message));
addEventListener("securitypolicyviolation", e => wrong.push(e.blockedURI));
console.error = (...words) => wrong.push(words.join(" "));
</script>"""
TELL = """<pre id="told"></pre><script>
setTimeout(() => {
  let drawn = document.getElementById("surface");
  let rows = trace => Array.from(trace.z, row => Array.from(row));
  let told = {z: drawn.data.filter(t => t.type == "surface").map(rows), wrong: wrong,
    asked: performance.getEntriesByType("resource").map(e => e.name)};
  document.getElementById("told").textContent = JSON.stringify(told);
}, 1500);
</script>"""


@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium")
def test_a_browser_shows_the_surface_and_asks_for_nothing(tmp_path: Path) -> None:
    """Of its own the page loads nothing, also where a policy would not stop it; nothing goes wrong in it."""
    pytest.importorskip("plotly")
    body = results.plane(loss=True)
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    page = surface_page(body | AWAY).replace("<head>", f"<head>{policy}{WATCH}").replace("</body>", f"{TELL}</body>")
    (tmp_path / "page.html").write_text(page)
    options = "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update"
    software = (
        "--use-angle=swiftshader --enable-unsafe-swiftshader --disable-sync --virtual-time-budget=4000 --dump-dom"
    )
    command = [str(BROWSER), *options.split(), *software.split(), f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run([*command, (tmp_path / "page.html").as_uri()], capture_output=True, text=True, check=True)
    [told] = re.findall(r'<pre id="told">(.+?)</pre>', done.stdout)
    told = json.loads(html.unescape(told))
    assert (told["wrong"], told["asked"]) == ([], [])
    names = ("train_error", "test_error", "train_loss", "test_loss")
    values = [[value for row in rows for value in row] for rows in told["z"]]
    assert values == [[point[name] for point in body["points"]] for name in names]


def test_page_without_plotly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotly", None)
    with pytest.raises(ResultError, match=r"landscape-cli\[interactive\]"):
        check_page(Path("x.html"))
