"""Every kind of result as terminals of all sorts show it: none is wider, no number is cut, letters are theirs."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from landscape_cli.cli.reports.energy import show_energy
from landscape_cli.cli.reports.families import shown_paths
from landscape_cli.cli.reports.path import show_path
from landscape_cli.cli.reports.plane import show_plane
from landscape_cli.cli.reports.radial import show_profiles
from landscape_cli.cli.reports.training import show_networks
from landscape_cli.cli.tables import print_table
from landscape_cli.io.results import Result
from tests.support import results

LONG = "runs/of-the-second-attempt/with-a-name-that-no-terminal-has-room-for"
SMALL, SHOWN = -1.17e-05, "-1.17e-05"
Show = Callable[[Result], None]


def small(body: Any, *keys: Any) -> Any:
    """Return a result with a number that has an exponent, and long names."""
    place = body
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = SMALL
    return json.loads(re.sub(r'"(\w+)\.st"', rf'"{LONG}/\1.st"', json.dumps(body)))


def radial() -> tuple[Show, Any, Any]:
    body = results.radial("a.st", "b.st")
    for network in body["networks"]:
        network["width"] |= {"standard_error": 0.5, "reached": 3, "directions": 5}
    body = small(body, "networks", 0, "width", "angle")
    return partial(show_profiles, networks=body["networks"]), body, ()


def cases() -> dict[str, tuple[Show, Any, Any]]:
    path = small(results.path(loss=True), "barrier", "test", "above_line")
    planes = {
        "plane": small(results.plane(loss=True, missing=5), "points", 0, "train_loss"),
        "around": small(results.around(), "directions", 1, "length"),
        "line": small(results.line(), "points", 1, "train_error"),
    }
    energies = [{"network": f"{LONG}/{k}.st", "sigma": 0.5, "train_energy": SMALL / k} for k in (1, 2)]
    trained = small(results.trained(4, 16), "networks", 0, "train_error")["networks"]
    trained = [{**row, "seed": k, "subspace": None} for k, row in enumerate(trained)]
    mark = {"mean": SMALL, "deviation": 0.125}
    marks = {split: dict.fromkeys(("max", "above_ends", "above_line"), mark) for split in ("train", "test")}
    summary = [{**entry, "barrier": marks} for entry in results.families()["summary"]]
    return {
        "path": (show_path, path, path["points"]),
        **{name: (show_plane, body, body["points"]) for name, body in planes.items()},
        "energy": (show_energy, {"families": {f"{LONG}/*": [row["network"] for row in energies]}}, energies),
        "radial": radial(),
        "families": (lambda result: print_table(replace(result, rows=shown_paths(summary))), {}, ()),
        "training": (show_networks, {}, trained),
    }


WAYS: dict[str, dict[str, str]] = {
    **{f"{width} columns": {"COLUMNS": str(width)} for width in (60, 80, 120)},
    "dumb": {"TERM": "dumb"},
    "no color": {"NO_COLOR": "1"},
    "locale C": {"LC_ALL": "C"},
    "piped": {},
}


@pytest.mark.parametrize("way", WAYS)
def test_no_terminal_is_too_small_or_too_plain(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], way: str
) -> None:
    for name in ("LC_ALL", "LC_CTYPE", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"LANG": "en_US.UTF-8", "TERM": "xterm", "COLUMNS": "80"} | WAYS[way]).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: way != "piped")
    for name, (show, body, rows) in cases().items():
        show(Result(body, rows, {}))
        text = capsys.readouterr().out
        plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
        assert SHOWN in plain, (name, plain)
        assert not re.search(r"[0-9.]…|…[0-9.]|[0-9]e[-+]?…", plain), (name, plain)
        if way == "piped":
            assert text == plain, name
        else:
            assert max(map(len, plain.splitlines())) <= int(WAYS[way].get("COLUMNS", 80)), (name, plain)
        assert way != "no color" or not re.search(r"\x1b\[[0-9;]*[34][0-7]m", text), name
        assert way not in {"dumb", "locale C"} or plain.isascii(), (name, plain)
