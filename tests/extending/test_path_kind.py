"""A path kind costs one file, `path_kind.py`, and one line: it is measured like every other."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from landscape_cli import build_model, load_data, path, read_checkpoint, trace_symmetry
from landscape_cli.choices import Kind
from landscape_cli.data.datasets import DataSpec
from landscape_cli.measures.midpoint import optimize_midpoint
from landscape_cli.samplers import Recipe
from tests.cli.test_app import TRAIN
from tests.extending.path_kind import NormedPath
from tests.support.registering import registered


@pytest.fixture
def _normed() -> Iterator[None]:
    with registered(Kind, "NORMED", "normed", "tests.extending.path_kind:NormedPath"):
        yield


@pytest.mark.usefixtures("_normed")
def test_it_is_measured(landscape: Callable[..., Any]) -> None:
    for seed in (1, 2):
        assert landscape(*TRAIN, "--epochs", "20", "--lr", "0.1", "--seed", seed, "-o", f"{seed}.st").code == 0
    done = landscape("path", "1.st", "2.st", "--kind", "normed", "--points", "5", "--loss")
    assert done.code == 0, done.err
    result = json.loads(done.out)
    assert result["provenance"]["arguments"]["kind"] == result["kind"] == "normed"
    assert "orders" not in result["provenance"]["arguments"]

    a, b = (read_checkpoint(f"{seed}.st") for seed in (1, 2))
    model = build_model(a.model, a.params)
    loaded = load_data(DataSpec.from_record(a.data), preprocessing=a.data)
    measured = path(model, a.params, b.params, loaded, kind="normed", points=5, loss=True)
    assert measured.to_dict() == {key: result[key] for key in ("kind", "barrier", "points")}
    straight = path(model, a.params, b.params, loaded, kind="linear", points=5, loss=True)
    assert straight.points[::4] == measured.points[::4]
    assert straight.points[2] != measured.points[2]

    symmetry = trace_symmetry(model, torch.zeros(2, 21))
    recipe = Recipe(epochs=1, batch_size=8)
    bent = optimize_midpoint(
        model, a.params, b.params, loaded, spec=a.model, symmetry=symmetry, kind="normed", recipe=recipe, points=3
    )
    assert bent.middle == {key: measured.points[2][key] for key in ("train_error", "test_error")}

    refused = landscape("path", "1.st", "2.st", "--kind", "shortest")
    assert "use --kind linear or geodesic or normed" in refused.err


def test_norms_are_kept() -> None:
    start, end = ({"weight": torch.randn(4, 3, generator=torch.Generator().manual_seed(seed))} for seed in (1, 2))
    point = NormedPath(torch.nn.Linear(3, 4)).at(start, end, 0.25)
    norm = 0.75 * float(start["weight"].norm()) + 0.25 * float(end["weight"].norm())
    assert float(point["weight"].norm()) == pytest.approx(norm, rel=1e-5)
    line = 0.75 * start["weight"] + 0.25 * end["weight"]
    assert float(line.norm()) < 0.95 * norm
    assert torch.allclose(point["weight"] / point["weight"].norm(), line / line.norm(), atol=1e-6)


def test_it_is_gone_again() -> None:
    assert "normed" not in list(Kind)
