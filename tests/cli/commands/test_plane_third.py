"""`landscape plane --third`: what stands in for the third network, in results, pictures and refusals."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from landscape_cli import load_data, plane, read_checkpoint
from landscape_cli.data.datasets import DataSpec
from landscape_cli.models import build_model
from tests.cli.commands.test_align_binary import BINARY
from tests.cli.test_app import TRAIN
from tests.support.terminal import cells_of, shown_on_terminal


def train_two(landscape: Callable[..., Any], options: list[str]) -> None:
    for seed in (1, 2):
        assert landscape(*options, "--seed", seed, "-o", f"{seed}.st").code == 0


@pytest.mark.parametrize(
    ("options", "names", "third", "stand_in"),
    [
        ([*TRAIN], ["1.st", "2.st"], "origin", "origin"),
        ([*TRAIN], ["1.st", "2.st"], "random", "random direction"),
        ([*TRAIN], ["1.st"], "random", "random direction"),
        ([*BINARY, "--hidden", "15,12"], ["1.st", "2.st"], "random", "random signs"),
        ([*BINARY, "--hidden", "15,12"], ["1.st"], "random", "random signs"),
    ],
    ids=["origin", "random", "two-random", "binary", "binary-two"],
)
def test_command_and_library_agree(
    landscape: Callable[..., Any], options: list[str], names: list[str], third: str, stand_in: str
) -> None:
    train_two(landscape, options)
    done = landscape("plane", *names, "--third", third, "--grid", "3", "--seed", "5", "--plot", "plane.svg")
    networks = [read_checkpoint(name) for name in names]
    record = networks[0].data
    a, b, c = [*networks, None, None][:3]
    measured = plane(
        build_model(networks[0].model, networks[0].params),
        *(a, b, c),
        load_data(DataSpec.from_record(record), preprocessing=record),
        third=third,
        grid=3,
        seed=5,
    )
    result = json.loads(done.out)
    arguments = result.pop("provenance")["arguments"]
    assert {name: arguments.get(name) for name in ("a", "b", "c", "third", "seed")} == {
        "a": "1.st",
        "b": names[1] if names[1:] else None,
        "c": None,
        "third": third,
        "seed": 5,
    }
    assert list(result.items()) == list(measured.to_dict().items())
    assert [corner["network"] for corner in result["networks"]] == [*names, *[stand_in] * (3 - len(names))]
    assert Path("plane.svg").read_text().startswith("<?xml")


def test_refusals(landscape: Callable[..., Any]) -> None:
    train_two(landscape, [*TRAIN])
    both = ["1.st", "2.st"]
    for words, arguments in (
        ("--third stands in for the third network: name two", [*both, "3.st", "--third", "origin"]),
        ("--third stands in for the third network: name two", [*both, "3.st", "--third", "random"]),
        ("one network and the origin span a line: name two networks, or --third random", ["1.st", "--third", "origin"]),
        ("here are two: name three, or let --third origin or random stand in for the third", both),
        ("here is one: name three", ["1.st"]),
        ("Invalid value for '--third'", [*both, "--third", "zero"]),
        ("Invalid value for '--seed'", [*both, "--third", "random", "--seed", "-1"]),
        ("1.st, 1.st, origin: two of the three networks are equal", ["1.st", "1.st", "--third", "origin"]),
        ("nowhere.st", ["1.st", "nowhere.st", "--third", "origin"]),
    ):
        landscape("plane", *arguments, "-o", "plane.json").check_refused(words, " ".join(arguments))
        assert not Path("plane.json").exists()


def test_binary_networks_have_no_origin(landscape: Callable[..., Any]) -> None:
    train_two(landscape, [*BINARY, "--hidden", "15,12"])
    refused = landscape("plane", "1.st", "2.st", "--third", "origin")
    refused.check_refused("binary networks have no origin, as their weights are signs: use --third random", "binary")


def test_the_table_says_where_corners_lie_and_what_they_are(landscape: Callable[..., Any]) -> None:
    train_two(landscape, [*TRAIN])
    command = ["plane", "1.st", "--third", "random", "--grid", "2", "--loss", "--quiet"]
    body = json.loads(landscape(*command).out)
    rows = cells_of(shown_on_terminal(*command))
    expected = [
        [letter, name, *(pytest.approx(corner[k], abs=6e-4) for k in ("x", "y", "train_error"))]
        for letter, name, corner in zip("abc", ["1.st", "random … 1", "random … 2"], body["networks"], strict=True)
    ]
    assert [
        [cells[0], re.sub(r"random.*….*tion", "random …", cells[1]), *map(float, cells[2:5])] for cells in rows[:3]
    ] == expected
    assert len(rows) == 3 + 4
