"""Tables: names stay apart however short, and spreads of one column share their digits."""

from __future__ import annotations

import math
import re
import sys
from typing import Any

import pytest

from landscape_cli.cli.tables import Spread, cut_apart, print_table
from landscape_cli.io.results import Result


def printed(
    rows: list[dict[str, Any]], width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_table(Result({}, rows, {}))
    return re.sub(r"\x1b\[\d*m", "", capsys.readouterr().out)


def test_names_are_cut_by_what_they_have_in_common(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("landscape_cli.cli.tables.is_plain", lambda: False)
    long = [f"{'a' * 40}-{k}-{'b' * 40}.st" for k in range(12)]
    for width in (12, 14, 30):
        cut = cut_apart([*long, long[3]], width)
        assert len(set(cut)) == 12
        assert cut[3] == cut[-1]
        assert max(map(len, cut)) <= width
    assert cut_apart(["run/e-epoch0.st", "b.st"], 14) == ["run/e-e…ch0.st", "b.st"]
    alike = ["a" * 20, "b" * 20]
    assert len(set(cut_apart(alike, 3))) == 2


def test_no_name_is_broken(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"network": f"runs/of a long name/e-epoch{k}.st"} | {f"score_{j}": 0.123456 for j in range(4)} for k in range(3)
    ]
    shown = printed(rows, 60, monkeypatch, capsys)
    for k in range(3):
        assert len(re.findall(rf"^│ \S.*{k}\.st +│", shown, re.MULTILINE)) == shown.count("┏")
    assert len([line for line in shown.splitlines() if line.startswith("│")]) == 3 * shown.count("┏")


def test_spreads_share_digits_and_cosines_have_no_noise(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spreads = [Spread(0.01125, 0.027), Spread(0.0725, 0.025), Spread(0.27, 0.021), Spread(0.02), Spread(math.nan)]
    rows = [{"max": spread, "cosine": -1e-10, "gap": -1e-10} for spread in spreads]
    shown = printed(rows, 80, monkeypatch, capsys)
    cells = [line.split("│")[1].strip() for line in shown.splitlines() if line.startswith("│")]
    assert cells == ["0.011 ± 0.027", "0.072 ± 0.025", "0.270 ± 0.021", "0.020", "-"]
    assert all(line.split("│")[2].strip() == "0" for line in shown.splitlines() if line.startswith("│"))
    assert "-1.00e-10" in shown
