"""`landscape plane --directions` and `landscape path --direction`: the library's numbers, files, refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from landscape_cli import line_around, load_data, plane_around, read_checkpoint
from landscape_cli.data.datasets import DataSpec
from landscape_cli.models import build_model
from tests.cli.test_app import TRAIN
from tests.support.terminal import cells_of, shown_on_terminal

pytestmark = pytest.mark.filterwarnings("ignore::landscape_cli.errors.Remark")


@pytest.fixture
def epochs(made: Callable[..., None]) -> dict[str, Any]:
    """A training run's networks, more than nine, by file, in order."""
    kept = [0, 1, 2, 10]
    made(*TRAIN, "--epochs", "10", "--keep-epochs", ",".join(map(str, kept)), "-o", "a.st")
    return {f"a-epoch{epoch}.st": read_checkpoint(f"a-epoch{epoch}.st") for epoch in kept}


def without_provenance(text: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(text)
    del result["provenance"]
    return result


def test_command_and_library_agree(landscape: Callable[..., Any], epochs: dict[str, Any]) -> None:
    last, params = epochs["a-epoch10.st"], {name: network.params for name, network in epochs.items()}
    model = build_model(last.model, last.params)
    data = load_data(DataSpec.from_record(last.data), preprocessing=last.data)
    base = params["a-epoch10.st"]

    shell = sorted(epochs)
    done = landscape("plane", *shell, "--directions", "pca", "--grid", 3, "--loss", "--plot", "p.svg")
    measured = plane_around(model, base, data, directions=["pca"], trajectory=params, grid=3, loss=True)
    result = without_provenance(done.out)
    assert [row["network"] for row in result["trajectory"]] == list(epochs)
    expected = measured.to_dict()
    expected["networks"][0]["network"] = "a-epoch10.st"
    assert result == json.loads(json.dumps(expected))
    quoted = landscape("plane", "a-epoch*.st", "--directions", "pca", "--grid", 3, "--loss")
    assert without_provenance(quoted.out) == result
    assert "a-epoch0.st" not in Path("p.svg").read_text()

    options = ["--directions", "a-epoch0.st,random", "--project", "a-epoch?.st", "--range", "-1,1,-2,2", "--grid", 2]
    done = landscape("plane", "a-epoch10.st", *options, "--seed", 3, "--plot", "q.svg")
    measured = plane_around(
        *(model, base, data),
        directions=["a-epoch0.st", "random"],
        towards={"a-epoch0.st": params["a-epoch0.st"]},
        project={name: params[name] for name in list(params)[:3]},
        limits=(-1, 1, -2, 2),
        grid=2,
        seed=3,
    )
    expected = measured.to_dict()
    expected["networks"][0]["network"] = "a-epoch10.st"
    assert without_provenance(done.out) == json.loads(json.dumps(expected))

    done = landscape("path", "a-epoch10.st", "--direction", "hessian", "--points", 4, "--plot", "l.svg", "-o", "l.json")
    assert done.code == 0
    line = line_around(model, base, data, direction="hessian", points=4).to_dict()
    line["networks"][0]["network"] = "a-epoch10.st"
    written = json.loads(Path("l.json").read_text())
    arguments = written.pop("provenance")["arguments"]
    assert written == json.loads(json.dumps(line))
    assert not {"kind", "orders", "range", "on_torus", "all_parameters"} & arguments.keys()
    assert arguments["direction"] == "hessian"

    rows = cells_of(
        shown_on_terminal("plane", "a-epoch10.st", "--directions", "random", "--project", "a.st", "--grid", "2", "-q")
    )
    assert [row[0] for row in rows[:2]] == ["random", "random"]
    assert [row[0] for row in rows[2:4]] == ["a", "a.st"]


def test_paths_go_on_beyond_their_ends(landscape: Callable[..., Any], epochs: dict[str, Any]) -> None:
    ends = ["a-epoch1.st", "a-epoch10.st", "--points", "3"]
    plain = without_provenance(landscape("path", *ends).out)
    done = landscape("path", *ends, "--from", "-0.5", "--to", "1.9", "--plot", "p.svg")
    result = json.loads(done.out)
    assert [point["tau"] for point in result["points"]] == [-0.5, 0, 0.5, 1, 1.5]
    assert (result["barrier"], result["points"][1:-1]) == (plain["barrier"], plain["points"])
    assert {key: result["provenance"]["arguments"][key] for key in ("from", "to")} == {"from": -0.5, "to": 1.9}
    for words, options in (
        ("Invalid value for '--from'", ["--from", "0.1"]),
        ("Invalid value for '--to'", ["--to", "0.9"]),
        ("--from, --to must be a finite number", ["--to", "inf"]),
        ("--from and --to are for paths without a trained midpoint", ["--to", "2", "--optimize-midpoint"]),
        ("--to does not go with --kind connector", ["--to", "2", "--kind", "connector"]),
        (
            "--from is for paths between networks: leave it or --direction out, or say how far with --range",
            ["--from", "-1", "--direction", "random"],
        ),
    ):
        landscape("path", *ends, *options, "-o", "r.json").check_refused(words, " ".join(options))


def test_on_the_torus_networks_are_to_be_normalised(landscape: Callable[..., Any], epochs: dict[str, Any]) -> None:
    refused = landscape("plane", "a.st", "--directions", "random", "--on-torus", "--grid", 2)
    refused.check_refused("a.st is not normalised, so its units are on no torus", "raw")
    assert landscape("normalize", "a.st", "-o", "n.st").code == 0
    done = landscape("plane", "n.st", "--directions", "random", "--on-torus", "--grid", 2)
    assert json.loads(done.out)["on_torus"] is True
    assert "not normalised" not in done.err


def test_refusals(landscape: Callable[..., Any], epochs: dict[str, Any]) -> None:
    for words, arguments in (
        ("--directions leads from one network: leave out a-epoch0.st", ["a-epoch0.st", "--directions", "random"]),
        ("--third stands in for a network", ["--directions", "random", "--third", "random"]),
        ("takes random, gradient, hessian, pca or files of networks, and 'up' is none", ["--directions", "up"]),
        ("names the file up.st, which does not exist", ["--directions", "up.st,random"]),
        ("a plane takes two directions, and 1 is named", ["--directions", "gradient"]),
        ("--range goes from lower numbers to higher ones", ["--directions", "random", "--range", "1,-1"]),
        ("--range takes numbers", ["--directions", "random", "--range", "wide"]),
        ("--margin must be a finite number", ["--directions", "random", "--margin", "inf"]),
        ("--growth goes with --range auto", ["--directions", "random", "--growth", "0.1"]),
        ("--on-torus goes with --directions", ["--on-torus"]),
        ("leave out a.st, or add --directions pca", ["a-epoch0.st", "a-epoch1.st", "a.st"]),
        ("no file matches the pattern 'z*.st'", ["--directions", "random", "--project", "z*.st"]),
        ("a.st is named 3 times: principal directions take 3", ["a.st", "a.st", "--directions", "pca"]),
        (
            "2 axes take at least 3 networks, and 2 are named",
            ["a-epoch0.st", "--directions", "pca"],
        ),
    ):
        landscape("plane", "a.st", *arguments, "-o", "plane.json").check_refused(words, " ".join(arguments))
        assert not Path("plane.json").exists()
    for words, arguments in (
        ("a path leads from one network to another: name two, or add --direction", []),
        ("name the family twice for pairs within it", ["--pairs", "all"]),
        ("--kind is for paths between networks", ["--direction", "random", "--kind", "linear"]),
        ("--shape is for paths between networks", ["--direction", "random", "--shape", "star"]),
        ("a line takes one direction, and 2 are named", ["--direction", "random,gradient"]),
        ("--range goes with --direction", ["a-epoch0.st", "--range", "0,1"]),
    ):
        landscape("path", "a.st", *arguments, "-o", "path.json").check_refused(words, " ".join(arguments))
        assert not Path("path.json").exists()
