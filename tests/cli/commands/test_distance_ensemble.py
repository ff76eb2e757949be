"""`landscape distance --ensemble`: the library's numbers, by family too, and how they are shown."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from landscape_cli import (
    align_set,
    ensemble,
    load_data,
    permute,
    random_permutations,
    read_checkpoint,
    trace_symmetry,
    write_checkpoint,
)
from landscape_cli.data.datasets import DataSpec
from landscape_cli.models import build_model
from tests.cli.commands.test_align_binary import BINARY
from tests.cli.test_app import TRAIN

USUAL = ["train_disagreement", "test_disagreement"]
MORE = [*USUAL, "train_normalised_disagreement", "test_normalised_disagreement", "train_kl", "test_kl"]


@pytest.fixture
def files(made: Callable[..., Any]) -> list[str]:
    """Four networks: two of each of two names."""
    names = ["a1.st", "a2.st", "b1.st", "b2.st"]
    for seed, name in enumerate(names):
        made(*TRAIN, "--seed", seed, "-o", name)
    return names


def library(names: list[str], *, align: bool = False, spherical: bool = False, **options: Any) -> dict[str, Any]:
    networks = [read_checkpoint(name) for name in names]
    params = [network.params for network in networks]
    model = build_model(networks[0].model, params[0])
    data = load_data(DataSpec.from_record(networks[0].data), preprocessing=networks[0].data)
    symmetry = trace_symmetry(model, torch.zeros(2, *networks[0].model.input_shape))
    if align:
        options["aligned"] = align_set(model, params, symmetry).networks
    return ensemble(model, params, data, symmetry=symmetry if spherical else None, **options).to_dict(names)


def test_command_and_library_agree(landscape: Callable[..., Any], files: list[str]) -> None:
    for options, setting in (
        ((), {}),
        (("--align", "cosine"), {"align": True}),
        (("--same", "0.4"), {"same": 0.4}),
    ):
        done = landscape("distance", *files, "--ensemble", *options)
        assert done.code == 0
        result = json.loads(done.out)
        assert result["ensemble"] == library(files, **setting)
        assert all(list(row)[-6:] == MORE for row in result["pairs"])
    assert list(result["ensemble"]) == ["networks", "geometry", "train", "test", "wedges"]
    plain = json.loads(landscape("distance", *files).out)
    assert "ensemble" not in plain
    assert list(plain["pairs"][0])[-2:] == USUAL
    assert not {"ensemble", "same", "bn"} & plain["provenance"]["arguments"].keys()
    arguments = result["provenance"]["arguments"]
    assert (arguments["ensemble"], arguments["same"], arguments["bn"]) == (True, 0.4, "keep")


def test_normalised_networks_are_averaged_on_spheres(landscape: Callable[..., Any], files: list[str]) -> None:
    assert landscape("normalize", *files, "--out-dir", "n").code == 0
    names = [f"n/{name}" for name in files]
    found = json.loads(landscape("distance", *names, "--ensemble", "--align", "weight").out)["ensemble"]
    assert found["geometry"] == "spherical"
    mixed = json.loads(landscape("distance", *names[:3], files[3], "--ensemble").out)["ensemble"]
    assert mixed["geometry"] == "linear"
    assert json.loads(landscape("distance", *names, "--ensemble").out)["ensemble"] == library(names, spherical=True)


def test_each_family_is_an_ensemble(landscape: Callable[..., Any], files: list[str]) -> None:
    done = landscape("distance", "a*.st", "b*.st", "--pairs", "all", "--ensemble")
    result = json.loads(done.out)
    expected = {"a*.st": library(files[:2]), "b*.st": library(files[2:])}
    for family, measured in result["ensemble"].items():
        for split in ("train", "test"):
            scores, slow = measured.pop(split), expected[family].pop(split)
            assert scores.pop("member_error") == slow.pop("member_error")
            assert scores == pytest.approx(slow, rel=1e-12)
        assert measured == expected.pop(family)
    assert not expected
    assert set(result["summary"][0]) >= set(MORE)
    for row in result["pairs"]:
        [pair] = [library([row["a"], row["b"]])]
        assert row["test_kl"] == pytest.approx(pair["test"]["kl"], rel=1e-12)
        ratio = pair["train"]["normalised_disagreement"]
        assert row["train_normalised_disagreement"] == pytest.approx(ratio, rel=1e-12)
    done = landscape("distance", "a*.st", "b1.st", "--pairs", "cross", "--ensemble")
    assert "landscape: b1.st is one network, and no ensemble\n" in done.err
    assert list(json.loads(done.out)["ensemble"]) == ["a*.st"]
    done = landscape("distance", "a1.st", "b1.st", "--pairs", "cross", "--ensemble")
    assert (done.code, "ensemble" in json.loads(done.out)) == (0, False)


def test_relabelled_copies_share_a_wedge_once_aligned(landscape: Callable[..., Any], files: list[str]) -> None:
    assert landscape(*TRAIN, "--epochs", "40", "--hidden", "40,30", "--seed", "9", "-o", "one.st").code == 0
    network = read_checkpoint("one.st")
    model = build_model(network.model, network.params)
    symmetry = trace_symmetry(model, torch.zeros(2, *network.model.input_shape))
    permutations = random_permutations(symmetry, generator=torch.Generator().manual_seed(0))
    write_checkpoint("two.st", replace(network, params=permute(network.params, symmetry, permutations)))
    plain, aligned = (
        json.loads(landscape("distance", "one.st", "two.st", "--ensemble", *options).out)["ensemble"]
        for options in ((), ("--align", "cosine"))
    )
    assert plain["wedges"] == [["one.st"], ["two.st"]]
    assert aligned["wedges"] == [["one.st", "two.st"]]
    weights = {"weights_error", "weights_loss"}
    for split in ("train", "test"):
        assert {k: v for k, v in plain[split].items() if k not in weights} == {
            k: v for k, v in aligned[split].items() if k not in weights
        }
        assert aligned[split]["weights_error"] == aligned[split]["error"]


def test_as_a_table_and_as_csv(landscape: Callable[..., Any], files: list[str]) -> None:
    shown = landscape("distance", *files, "--ensemble", "--format", "table").out
    assert shown.count("member error, mean") == shown.count("member error, least") == 1
    assert "ensemble: 4 networks, linear mean of weights" in shown
    assert shown.splitlines()[-1].startswith("wedges: [[a1.st")
    by_family = landscape("distance", "a*.st", "b*.st", "--pairs", "all", "--ensemble", "--format", "table").out
    assert [line.split(": ")[0] for line in by_family.splitlines()[-2:]] == ["wedges of a*.st", "wedges of b*.st"]
    done = landscape("distance", *files, "--ensemble", "-o", "pairs.csv")
    assert "a CSV has the pairs alone, not the ensemble" in done.err
    rows = list(csv.DictReader(io.StringIO(Path("pairs.csv").read_text().partition("\n")[2])))
    assert len(rows) == 6
    assert list(rows[0])[-6:] == MORE
    matrix = json.loads(landscape("distance", *files, "--matrix", "test_kl").out)["matrix"]
    assert matrix["rows"][0]["a2.st"] == pytest.approx(float(rows[0]["test_kl"]))
    assert matrix["rows"][0]["a1.st"] == 0


def test_binary_networks(landscape: Callable[..., Any]) -> None:
    for seed in (1, 2):
        assert landscape(*BINARY, "--hidden", "15,12", "--seed", seed, "-o", f"{seed}.st").code == 0
    done = landscape("distance", "1.st", "2.st", "--ensemble", "--align", "cosine")
    assert done.err == (
        "landscape: binary networks have no mean of weights, so the result says nothing of one, nor of wedges\n"
    )
    for options in (("--same", "0.1"), ("--bn", "recompute"), ("--bn", "keep")):
        refused = landscape("distance", "1.st", "2.st", "--ensemble", *options)
        refused.check_refused(
            f"1.st is binary, and binary networks have no mean of weights: leave out {options[0]}", ""
        )
    result = json.loads(done.out)
    assert list(result["ensemble"]) == ["networks", "train", "test"]
    assert result["ensemble"]["test"]["kl"] == pytest.approx(result["pairs"][0]["test_kl"])
    done = landscape("distance", "1.st", "2.st", "--ensemble", "--format", "table", "-q")
    assert (done.err, "wedges" in done.out) == ("", False)


def test_nan_outputs_are_missing(landscape: Callable[..., Any], files: list[str]) -> None:
    network = read_checkpoint("a1.st")
    write_checkpoint("large.st", replace(network, params={k: t * 1e30 for k, t in network.params.items()}))
    done = landscape("distance", "a2.st", "large.st", "--ensemble")
    assert done.code == 0
    found = json.loads(done.out)["ensemble"]["test"]
    assert (found["error"], found["kl"], found["member_error"]["least"]) == (None, None, None)
    assert "outputs of large.st are NaN" in done.err


def test_what_does_not_belong_is_refused(landscape: Callable[..., Any], files: list[str]) -> None:
    for options, words in (
        (("--same", "0.1"), "--same goes with --ensemble"),
        (("--bn", "recompute"), "--bn goes with --ensemble"),
        (("--ensemble", "--no-functions"), "--ensemble needs the data: leave out --no-functions"),
        (("--ensemble", "--same", "-0.1"), "--same must be at least 0, and is -0.1"),
        (("--ensemble", "--same", "-1"), "--same must be at least 0, and is -1 (see"),
        (("--ensemble", "--same", "nan"), "--same must be a finite number, and is nan"),
        (("--ensemble", "--bn", "magic"), "--bn"),
        (("--matrix", "test_kl", "--no-functions"), "--matrix test_kl needs the data"),
    ):
        landscape("distance", *files, *options).check_refused(words, str(options))
