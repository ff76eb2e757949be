"""The study's experiments: relabelled networks compute the same, and an explanation is told right from wrong."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import torch
from study.readings import read_study
from toroids.experiments import experiments, more_energies
from toroids.findings import FORM
from toroids.relabel import relabel

from landscape_cli import build_model, read_network, trace_symmetry, write_checkpoint
from landscape_cli.alignment.align import match_networks
from landscape_cli.io.checkpoint import Checkpoint
from landscape_cli.models import create_model
from landscape_cli.network import ModelSpec
from tests.examples.test_toroids import NAMES, SHARPNESS, make_up


def test_a_relabelled_network_computes_the_same_and_is_found_again(tmp_path: Path) -> None:
    spec = ModelSpec("mlp", {"hidden": [12, 9]}, (7,), 4)
    params = create_model(spec, seed=3).state_dict()
    (tmp_path / "raw").mkdir()
    write_checkpoint(tmp_path / "raw" / "sgd-1.st", Checkpoint(params, spec, {}))
    (tmp_path / "into").mkdir()
    other = read_network(relabel(tmp_path / "raw" / "sgd-1.st", tmp_path / "into", 1))
    assert not torch.equal(other.params["fc1.weight"], params["fc1.weight"])
    x = torch.randn(20, 7, generator=torch.Generator().manual_seed(0))
    outputs = [build_model(spec, each)(x) for each in (params, other.params)]
    torch.testing.assert_close(*outputs)
    symmetry = trace_symmetry(build_model(spec, params), x[:2])
    again = match_networks(params, other.params, symmetry, method="cosine").params
    assert all(torch.equal(again[key], params[key]) for key in params)


def measured(folder: Path, name: str, pairs: list[tuple[str, str]], barriers: list[float], **more: Any) -> None:
    """Write what was measured of pairs, profiles that rise to a barrier in the middle."""
    file = folder / "experiments" / f"{name}.json"
    file.parent.mkdir(exist_ok=True)
    body = [
        {
            "start": f"{a}.st",
            "end": f"{b}.st",
            "points": [{"tau": k / 4, "train_error": height * (0, 0.5, 1, 0.5, 0)[k]} for k in range(5)],
            "barrier": {"train": {"max": height}},
            **more,
        }
        for (a, b), height in zip(pairs, barriers, strict=True)
    ]
    file.write_text(json.dumps({"pairs": body}))


def verdicts(folder: Path) -> list[str]:
    [table] = experiments(read_study(folder, FORM))
    return [line.split("|")[-2].strip() for line in table.splitlines()[4:]]


def test_an_explanation_is_told_right_from_wrong(tmp_path: Path) -> None:
    folder = make_up(tmp_path, SHARPNESS)
    assert experiments(read_study(folder, FORM)) == []
    with_itself = {"sgd": 0.1, "rsgd": 0.3, "adv": 0.4}
    for sampler, height in with_itself.items():
        own = [name for name in NAMES if name.startswith(f"{sampler}-")]
        measured(folder, f"relabelled-{sampler}", [(n, n) for n in own], [height + 0.01 * k for k in range(3)])
    assert verdicts(folder) == ["**does not hold** (2 of 2)"]  # in that order, and not as high as between two
    for sampler, height in with_itself.items():
        own = [name for name in NAMES if name.startswith(f"{sampler}-")]
        measured(folder, f"linear-{sampler}", list(combinations(own, 2)), [height + 0.01 * k for k in range(3)])
    between = [json.loads(file.read_text())["pairs"] for file in (folder / "experiments").glob("linear-*.json")]
    (folder / "paths" / "linear.json").write_text(json.dumps({"pairs": [pair for each in between for pair in each]}))
    assert verdicts(folder) == ["**holds** (2 of 2)"]
    own = [name for name in NAMES if name.startswith("sgd-")]
    measured(folder, "relabelled-sgd", [(n, n) for n in own], [0.5, 0.51, 0.52])
    assert verdicts(folder) == ["**does not hold** (0 of 2)"]


def test_midpoints_that_come_nearer(tmp_path: Path) -> None:
    folder = make_up(tmp_path, SHARPNESS)
    pairs = [("rsgd-1", "sgd-4"), ("rsgd-2", "sgd-5"), ("rsgd-3", "sgd-6")]
    for far, expected in ((9.0, "**holds** (1 of 1)"), (0.0, "**does not hold** (0 of 1)")):
        ends = {"start": {"geodesic": 1.0}, "end": {"geodesic": far}}
        measured(folder, "long", pairs, [0.0] * 3, midpoint={"epochs": 60, "train_error": 0.0, "distances": ends})
        assert verdicts(folder) == [expected]


def with_losses(folder: Path, slope: float) -> None:
    """Write losses that fall by so much in the middle of each path, towards its second network."""
    taus = [0.0, 0.45, 0.5, 0.55, 1.0]
    pairs = [(a, b) for a, b in combinations(NAMES, 2) if a.split("-")[0] != b.split("-")[0]]
    noise = iter(range(len(pairs)))

    def loss(tau: float, shift: float) -> float:
        return 1 - 10 * (slope + 1e-4 * shift) * (tau - 0.5)

    body = [
        {
            "start": f"{a}.st",
            "end": f"{b}.st",
            "points": [{"tau": tau, "train_error": 0.0, "train_loss": loss(tau, shift)} for tau in taus],
            "barrier": {"train": {"max": 0.0}},
        }
        for (a, b), shift in zip(pairs, noise, strict=False)
    ]
    (folder / "experiments").mkdir(exist_ok=True)
    (folder / "experiments" / "losses.json").write_text(json.dumps({"pairs": body}))


@pytest.mark.parametrize(("slope", "expected"), [(-0.05, "**holds** (3 of 3)"), (0.05, "**does not hold** (0 of 3)")])
def test_the_loss_falls_towards_where_midpoints_are(tmp_path: Path, slope: float, expected: str) -> None:
    folder = make_up(tmp_path, SHARPNESS)  # midpoints are nearer to the flatter network, which comes first
    with_losses(folder, slope)
    assert verdicts(folder) == [expected]


@pytest.mark.parametrize(
    ("flat", "expected"), [(1.0, "**holds** (2 of 2 hold"), (3.0, "**does not hold** (0 of 2 hold")]
)
def test_further_seeds_count_with_the_studys_own(tmp_path: Path, flat: float, expected: str) -> None:
    sharpness = SHARPNESS | {"rsgd": flat}
    folder = make_up(tmp_path, sharpness)
    (folder / "more").mkdir()
    levels = []
    for sampler in ("rsgd", "sgd"):
        value = sharpness[sampler]
        names = [f"{sampler}-{60 + k}" for k in range(4)]
        reports = [
            {"network": f"more/{name}.st", "train_error": 0.5 * (k == 3), "test_error": value + 0.001 * k}
            for k, name in enumerate(names)
        ]
        (folder / "more" / f"{sampler}.json").write_text(json.dumps({"networks": reports}))
        levels += [
            {
                "network": f"more/{name}.st",
                "local_energy": [{"sigma": s, "train_energy": s * value + 0.001 * k} for s in (0.1, 0.2)],
            }
            for k, name in enumerate(names)
        ]
    (folder / "more" / "flatness.json").write_text(json.dumps({"networks": levels}))
    study = read_study(folder, FORM)
    energies = more_energies(study)
    assert {effect.estimate.networks for effect in energies.effects} == {6}  # three each, and those that are solutions
    assert verdicts(folder)[0].startswith(expected)
    assert len(verdicts(folder)) == 2
