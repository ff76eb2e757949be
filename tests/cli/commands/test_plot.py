"""`landscape plot`: saved results drawn, as `--plot` draws them, and rubbish refused in a line."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_app import TRAIN
from tests.support import results

pytest.importorskip("matplotlib")


def write(name: str, body: dict[str, Any]) -> str:
    Path(name).write_text(json.dumps(body))
    return name


def test_a_saved_result_is_drawn_as_by_its_command(landscape: Callable[..., Any]) -> None:
    """The same bytes as `--plot`, of JSON; of the log of a training, and of a connector's CSV, whatever is in it."""
    for seed in (1, 2, 3):
        assert landscape(*TRAIN, "--seed", seed, "-o", f"{seed}.st", "--log", f"{seed}.csv").code == 0
    commands = {
        "path": ["path", "1.st", "2.st", "--points", "3", "--loss"],
        "plane": ["plane", "1.st", "2.st", "3.st", "--grid", "3"],
        "flatness": ["flatness", "1.st", "--samples", "2"],
        "connector": ["path", "1.st", "2.st", "3.st", "--kind", "connector", "--epochs", "1", "--points", "3"],
    }
    for name, command in commands.items():
        saved = f"{name}.{'csv' if name == 'connector' else 'json'}"
        done = landscape(*command, "-o", saved, "--plot", f"{name}.svg")
        assert f"landscape: wrote {name}.svg" in done.err.splitlines()
        assert landscape("plot", saved, "-o", f"{name}-again.svg", "-q").err == ""
        if name != "connector":  # whose title needs its JSON
            assert Path(f"{name}-again.svg").read_bytes() == Path(f"{name}.svg").read_bytes(), name
    done = landscape("plot", "1.csv", "2.csv", "-o", "logs.pdf", "--width", "3.3", "--labels", "one,two")
    assert (done.code, done.err) == (0, "landscape: wrote logs.pdf\n")


def test_size_title_and_surface(landscape: Callable[..., Any]) -> None:
    from PIL import Image

    saved = write("plane.json", results.plane())
    options = ["--width", "4", "--dpi", "50", "--title", "some title", "--labels", "x,y,z"]
    assert landscape("plot", saved, "-o", "a.png", *options).code == 0
    assert Image.open("a.png").size[0] == 200
    assert landscape("plot", saved, "--surface", "-o", "b.svg", *options).code == 0
    assert ">some title</text>" in Path("b.svg").read_text()
    refused = landscape("plot", saved, "-o", "b.svg")
    assert (refused.code, "--force" in refused.err) == (2, True)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "no result of landscape"),
        ("[]", "holds no object"),
        ('{"a": NaN}', "NaN is no finite number"),
        ('{"a": 1e999}', "1e999 is no finite number"),
        ('{"a": 1, "a": 2}', "twice"),
        ("[" * 10**5, "no result of landscape"),
        ('{"a": ' + "9" * 5000 + "}", "no result of landscape"),
        ('{"kind": "x", "points": [], "barrier": {}}', "it has no points"),
        ('{"kind": "\\u001b[2J", "points": [{"tau": "\\u001b[2J\\n"}], "barrier": {}}', "should be a number"),
        ('{"networks": [{"network": "a", "profiles": [{"direction": "d", "angles": [1], "x": 3}]}]}', "an object"),
        ('{"x": [0, 1], "y": [0, 1], "networks": [], "points": [{}, {}, {}, {}]}', "neither error nor loss"),
    ],
)
def test_hostile_files_are_a_line(landscape: Callable[..., Any], content: str, why: str) -> None:
    Path("r.json").write_text(content)
    done = landscape("plot", "r.json", "-o", "x.png")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith("landscape: error: r.json")
    assert why in done.err
    assert done.err[:-1].isprintable()
    assert not Path("x.png").exists()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["r.json", "-o", "x.txt"], "must end in .png, .pdf, .svg, .html"),
        (["r.json", "-o", "x.html"], "a surface is of a plane"),
        (["r.json", "-o", "x.png", "--surface"], "a surface is of a plane"),
        (["r.json", "-o", "x.png", "--ylim", "1,0"], "--ylim takes the lowest and the highest"),
        (["r.json", "-o", "x.png", "--labels", "a,b,c"], "--labels are 3, and 1 things are drawn"),
        (["missing.json", "-o", "x.png"], "cannot read missing.json"),
        (["r.st", "-o", "x.png"], "must end in .json or .csv"),
        (["r.csv", "-o", "x.png"], "more or fewer cells"),
        (["r.json"], "'-o'"),
    ],
)
def test_refusals(landscape: Callable[..., Any], arguments: list[str], why: str) -> None:
    if "x.html" in arguments:
        pytest.importorskip("plotly")
    write("r.json", results.path())
    Path("r.csv").write_text("a,b\n1\n")
    done = landscape("plot", *arguments)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert why in done.err


def test_rows_read_back(tmp_path: Path) -> None:
    from landscape_cli import read_result
    from landscape_cli.errors import ResultError
    from landscape_cli.io.results import Result, check_result_name, write_result

    rows = [{"tau": 0.5, "name": "a,b", "error": None, "n": -3}]
    (tmp_path / "x.csv").write_text(Result({}, rows, {"command": "c"}).to_csv())
    assert read_result(tmp_path / "x.csv") == {"points": rows, "provenance": {"command": "c"}}
    write_result(tmp_path / "z.csv", Result({}, rows, {"command": "c"}), force=False, comment=False)
    assert (tmp_path / "z.csv").read_text().startswith("tau,name,error,n\n")
    assert read_result(str(tmp_path / "z.csv")) == {"points": rows, "provenance": {"command": "c"}}
    (tmp_path / "z.csv.meta.json").write_text("[")
    with pytest.raises(ResultError, match=r"z\.csv\.meta\.json is no result"):
        read_result(tmp_path / "z.csv")
    (tmp_path / "z.csv").unlink()
    with pytest.raises(ResultError, match=r"z\.csv\.meta\.json exists already"):
        check_result_name(tmp_path / "z.csv", force=False, comment=False)
    with (tmp_path / "y.csv").open("w") as file:
        csv.writer(file).writerows([["a"], ["1e400"]])
    assert read_result(tmp_path / "y.csv") == {"points": [{"a": "1e400"}]}


def test_pictures_of_aligned_networks_say_so(landscape: Callable[..., Any]) -> None:
    for seed in (1, 2):
        assert landscape(*TRAIN, "--seed", seed, "-o", f"{seed}.st").code == 0
    assert landscape("align", "1.st", "2.st", "-o", "b.st").code == 0
    for name, said in (("2.st", False), ("b.st", True)):
        done = landscape("path", "1.st", name, "--points", "2", "--plot", "x.svg", "--force")
        assert ("aligned" in json.loads(done.out)["provenance"]) == said
        assert ("linear, aligned (cosine)" in Path("x.svg").read_text()) == said
