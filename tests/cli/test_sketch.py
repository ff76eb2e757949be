"""Sketches: on a terminal alone, in ASCII where that is all there is, and of the numbers that there are."""

from __future__ import annotations

import math
import re
import sys

import pytest

from landscape_cli.cli.reports.energy import show_energy
from landscape_cli.cli.reports.path import show_path
from landscape_cli.cli.reports.plane import show_plane
from landscape_cli.cli.sketch import HEIGHTS, curve, print_curves, print_field
from landscape_cli.cli.tables import print_table
from landscape_cli.io.results import Result
from tests.support import results


def on_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LC_ALL", "LC_CTYPE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)


def test_curves_are_as_high_as_their_numbers() -> None:
    assert curve([0, 0.5, 1, math.nan], 0, 1, plain=False) == f"{HEIGHTS[0]}{HEIGHTS[4]}{HEIGHTS[7]}?"
    assert curve([0, 0.5, 1, math.nan], 0, 1, plain=True) == "_=#?"
    assert curve([2, 2], 2, 2, plain=True) == "__"


def test_names_are_cut_in_the_middle_and_numbers_never(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    on_terminal(monkeypatch)
    print_curves({"runs/" + "x" * 60 + "-1.st": [1.2345e-5, 0.5], "b": [math.nan]})
    scale, first, second = capsys.readouterr().out.splitlines()
    assert scale == "on one scale, from zero:"
    assert first.endswith("1.23e-05 to 0.5")
    assert first.index("…") < 24
    assert second.endswith("-")


def test_fields_have_the_last_row_on_top(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    on_terminal(monkeypatch)
    print_field([[0.0, 1.0], [math.nan, 0.5]], {(0, 0): "a"}, "train error")
    about, top, bottom = capsys.readouterr().out.splitlines()
    assert about == "train error: · 0 to █ 1"
    assert (top, bottom) == ("  ??▒▒", "  a ██")


@pytest.mark.parametrize("variable", [("LC_ALL", "C"), ("LANG", "POSIX"), ("TERM", "dumb")])
def test_ascii(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: tuple[str, str]) -> None:
    on_terminal(monkeypatch)
    monkeypatch.setenv(*variable)
    print_curves({"x" * 60: [0.0, 1.0]})
    print_field([[0.0, 1.0]], {}, "x")
    cells = [{"a": 1.5, "τ at ±5°": "0.5 ± 0.1", "moved": moved, "file": "5°.st"} for moved in ("1e+02°", "× 0.5")]
    print_table(Result({}, cells, {}))
    shown = capsys.readouterr().out.replace("5°.st", "")  # names of files stay as they are
    assert shown.isascii()
    assert "..." in shown
    assert "| 1e+02 deg |" in shown
    assert "| x 0.5 " in shown
    assert "0.5 +- 0.1" in shown
    assert "tau at +-5 deg" in shown
    assert " _# " in " ".join(shown.split())


def test_none_when_piped(capsys: pytest.CaptureFixture[str]) -> None:
    print_curves({"a": [0.0, 1.0]})
    print_field([[0.0, 1.0]], {}, "x")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_barriers_and_planes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int) -> None:
    on_terminal(monkeypatch)
    monkeypatch.setenv("COLUMNS", str(width))
    body = results.path(loss=True)
    show_path(Result(body, body["points"], {}))
    shown = re.sub(r"\x1b\[\d*m", "", capsys.readouterr().out)
    assert max(map(len, shown.splitlines())) <= width
    assert "█" in shown
    assert re.search(r"train error .* 0\.40* ", shown)
    assert re.search(r"train loss .* 1\.20* ", shown)
    assert "above line" in " ".join(shown.split())
    body = results.plane(missing=5) | {"points": results.plane(missing=5)["points"]}
    show_plane(Result(body, body["points"], {}))
    shown = capsys.readouterr().out
    assert len(shown.splitlines()) < 30
    assert "missing" in shown
    assert not re.search(r"[0-9.]…[0-9]", shown)


def test_numbers_of_a_column_share_their_digits(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"a": 0.5, "b": 1.5e-7, "c": 3}, {"a": 0.12345, "b": 2.0, "c": 14}, {"a": math.nan, "b": None, "c": 1}]
    print_table(Result({}, rows, {}))
    cells = [line.split("│")[1:-1] for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    assert [[cell.strip() for cell in row] for row in cells] == [
        ["0.5000", "1.50e-07", "3"],
        ["0.1235", "2.00e+00", "14"],
        ["-", "-", "1"],
    ]


def test_energies_of_families_have_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"network": f"{k}.st", "sigma": 0.5, "train_energy": energy} for k, energy in enumerate((0.1, 0.3, 0.9))]
    show_energy(Result({"families": {"few-*": ["0.st", "1.st"], "one": ["2.st"]}}, rows, {}))
    shown = " ".join(capsys.readouterr().out.split())
    assert "few-* │ 2 │ 0.5 │ 0.20 ± 0.14" in shown
    assert "one │ 1 │ 0.5 │ 0.90 " in shown
    show_energy(Result({}, rows, {}))
    assert "family" not in capsys.readouterr().out


def test_paths_and_lines_are_sketched_by_one_rule(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    on_terminal(monkeypatch)
    for show, body in ((show_path, results.path(loss=True)), (show_plane, results.line())):
        show(Result(body, body["points"], {}))
        scale, *curves = capsys.readouterr().out.partition("each on")[2].splitlines()
        assert scale == " its own scale, from zero:"
        assert len(curves) == len(body["points"][0]) - 1
        assert all("█" in drawn for drawn in curves)
