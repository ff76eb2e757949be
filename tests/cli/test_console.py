"""What the library says reaches the terminal in the command line's words, and is kept back when asked."""

from __future__ import annotations

import re
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import landscape_cli
from landscape_cli.choices import ProgressStyle
from landscape_cli.cli import console
from landscape_cli.cli.app import COMMANDS, build_command
from landscape_cli.cli.console import in_options, listen, make_progress, progress
from landscape_cli.cli.progress import choose_progress
from landscape_cli.cli.tables import print_table
from landscape_cli.errors import LandscapeWarning, Remark
from landscape_cli.io.results import Result

PACKAGE = Path(landscape_cli.__file__).parent
PYTHON_ALONE = {"b", "basis", "c", "paths", "spec"}
"""Parameters that messages name where no command line leads to."""


def test_parameters_are_shown_as_options() -> None:
    assert (
        in_options("name the data with `data=`, or lower `learning_rate=`")
        == "name the data with --data, or lower --lr"
    )
    assert (
        in_options("give `input_shape=` 3,32,32, `model_name=`, `form=`")
        == "give --input-shape 3,32,32, --model, --format"
    )
    assert in_options("`data` is no option, nor is data=") == "`data` is no option, nor is data="


def test_parameters_that_messages_name_are_options() -> None:
    """What files, data and models say is read on the command line, so it has to be an option there."""
    options = {option for name in COMMANDS for parameter in build_command(name).params for option in parameter.opts}
    for folder in ("io", "data", "models"):
        for path in (PACKAGE / folder).glob("*.py"):
            for name in set(re.findall(r"`(\w+)=`", path.read_text())) - PYTHON_ALONE:
                assert in_options(f"`{name}=`") in options, (path, name)


@pytest.mark.parametrize("quiet", [False, True])
def test_warnings_are_lines(capsys: pytest.CaptureFixture[str], quiet: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        listen(quiet=quiet)
        for _ in range(2):  # each time, not once a place
            warnings.warn("see `data=`", LandscapeWarning, stacklevel=1)
            warnings.warn("good to know", Remark, stacklevel=1)
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("of others, or never to be missed", UserWarning, stacklevel=1)
        lstm = nn.LSTM(2, 3, proj_size=1)
        lstm(torch.zeros(1, 1, 2))
    captured = capsys.readouterr()
    ours = ["landscape: warning: see --data", "landscape: good to know"]
    assert captured.err.splitlines() == [
        *([] if quiet else ours * 2),
        "landscape: warning: of others, or never to be missed",
    ]
    assert captured.out == ""


def tables_at(width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], **options: Any) -> str:
    """Return what is printed of five pairs with nine figures each, on a terminal of some columns."""
    rows = [
        {"a": f"runs/of-a-long-name-{k}.st", "b": "b.st"}
        | {f"train_normalised_disagreement_{j}": -1.2345e-12 * (k + j + 1) for j in range(9)}
        | {"spread": "-" if k else "1.234 ± 0.0056"}
        for k in range(5)
    ]
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_table(Result({}, rows, {}), **options)
    return re.sub(r"\x1b\[\d*m", "", capsys.readouterr().out)


@pytest.mark.parametrize("width", [40, 80, 120, 400])
def test_no_figure_is_cut(width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """However narrow the terminal: figures that do not fit go into another table, with the names of its rows."""
    shown = tables_at(width, monkeypatch, capsys)
    for k in range(5):
        for j in range(9):
            assert f" {-1.2345e-12 * (k + j + 1):.2e} " in shown
    assert not re.search(r"[0-9.]…[0-9]", shown)
    assert all(re.search(rf"{k}\.st ", shown) for k in range(5))  # in one line, however short
    lines = shown.splitlines()
    assert max(map(len, lines)) <= max(width, 50)
    assert shown.count("┏") == {40: 10, 80: 4, 120: 2, 400: 1}[width]
    assert len([line for line in lines if "│ b.st" in line]) == 5 * shown.count("┏")


def test_keys_are_in_every_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    shown = tables_at(80, monkeypatch, capsys, keys=("train_normalised_disagreement_3",))
    assert shown.count("-1.11e-11 ") >= shown.count("┏") > 3
    assert shown.count(" 1.234 ± 0.0056 ") == 1


@pytest.mark.parametrize("width", [30, 60, 79, 120])
@pytest.mark.parametrize("term", ["xterm", "dumb"])
def test_progress_cuts_no_number(
    width: int, term: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("LC_ALL", "C" if term == "dumb" else "C.UTF-8")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with make_progress() as bar:
        bar.add_task("surroundings of a", total=111600, completed=11160, rate="12,345 samples/s")
        with bar.console.capture() as shown:
            bar.console.print(bar.get_renderable())
        bar.stop()
    assert " 11160/111600 " in shown.get()
    assert ("samples/s" in shown.get()) == (width == 120)
    assert max(map(len, shown.get().splitlines())) <= width
    assert "…" not in shown.get()
    assert shown.get().isascii() or term != "dumb"


def test_work_that_ends_early_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    bars: list[Any] = []
    monkeypatch.setattr(console, "make_progress", lambda: bars.append(make_progress()) or bars[0])
    choose_progress(ProgressStyle.BAR)
    try:
        with progress("path", 10, "samples", quiet=False) as advance:
            assert advance is not None
            advance(4)
    finally:
        choose_progress(None)
    assert bars[0].finished
