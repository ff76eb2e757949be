"""`landscape plane`: the library's numbers, refusals, pictures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from landscape_cli import load_data, plane, read_checkpoint
from landscape_cli.data.datasets import DataSpec
from landscape_cli.models import build_model
from tests.cli.commands.test_align_binary import BINARY
from tests.cli.test_app import TRAIN, rows_of


@pytest.mark.parametrize("options", [[*TRAIN], [*BINARY, "--hidden", "15,12"]], ids=["continuous", "binary"])
def test_command_and_library_agree(landscape: Callable[..., Any], options: list[str]) -> None:
    names = [f"{seed}.st" for seed in (1, 2, 3)]
    for seed, name in enumerate(names):
        assert landscape(*options, "--seed", seed, "-o", name).code == 0
    done = landscape("plane", *names, "--grid", "3", "--margin", "0.3", "--loss", "--plot", "plane.svg")
    networks = [read_checkpoint(name) for name in names]
    model, record = build_model(networks[0].model, networks[0].params), networks[0].data
    data = load_data(DataSpec.from_record(record), preprocessing=record)
    measured = plane(model, *networks, data, grid=3, margin=0.3, loss=True)
    result = json.loads(done.out)
    del result["provenance"]
    assert list(result.items()) == list(measured.to_dict().items())
    picture = Path("plane.svg").read_text()
    assert picture.startswith("<?xml")
    landscape("plane", *names, "--grid", "3", "--margin", "0.3", "--loss", "-o", "plane.csv")
    rows = rows_of(Path("plane.csv").read_text())
    assert [{key: float(value) for key, value in row.items()} for row in rows] == result["points"]

    projected = landscape("plane", *names, "--project", "1.st", "--grid", "2")
    [row] = json.loads(projected.out)["projected"]
    assert [row["network"], row["x"], row["y"]] == ["1.st", pytest.approx(0, abs=1e-6), pytest.approx(0, abs=1e-6)]
    expected = plane(model, *networks, data, grid=2, project={"1.st": networks[0].params}).to_dict()
    assert json.loads(projected.out)["projected"] == expected["projected"]
    assert "projected" not in result

    refused = landscape("plane", *names, "--margin", "inf")
    message = "--margin must be a finite number, not inf (see 'landscape plane --help')"
    assert (refused.code, refused.err) == (2, f"landscape: error: {message}\n")
    refused = landscape("plane", names[0], names[1], names[1])
    assert refused.err.startswith("landscape: error: 1.st, 2.st, 2.st: the three networks lie on one line")
