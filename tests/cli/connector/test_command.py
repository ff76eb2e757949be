"""`landscape path --kind connector`: what it writes, and what it refuses."""

from __future__ import annotations

import csv
import errno
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from landscape_cli.alignment.sets import align_set
from landscape_cli.data.datasets import DataSpec, load_data
from landscape_cli.io.checkpoint import read_checkpoint
from landscape_cli.measures.connector import connector
from landscape_cli.models import build_model
from landscape_cli.samplers import Recipe
from landscape_cli.symmetry import trace_symmetry
from tests.cli.test_app import TRAIN
from tests.support.terminal import cells_of, shown_on_terminal

LEARN = [*TRAIN, "--epochs", "30", "--lr", "0.2"]
NAMES = ["a.st", "b.st", "c.st"]
CONNECT = ["--kind", "connector", "--batch-size", "32", "--epochs", "2", "--lr", "0.1", "--points", "3"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three trained networks, the same normalised in a folder n, and two binary ones."""
    from landscape_cli.cli.app import main

    folder = tmp_path_factory.mktemp("trained")
    commands = [[*LEARN, "--seed", str(seed), "-o", str(folder / name)] for seed, name in enumerate(NAMES)]
    commands.append(["normalize", *(str(folder / name) for name in NAMES), "--out-dir", str(folder / "n")])
    binary = [*TRAIN, "--model", "binary-mlp", "--epochs", "1", "--hidden", "13,9"]
    commands += [[*binary, "--seed", str(seed), "-o", str(folder / f"bin-{seed}.st")] for seed in (1, 2)]
    for command in commands:
        with pytest.raises(SystemExit) as stop:
            main([*command, "--quiet"])
        assert not stop.value.code
    return folder


@pytest.fixture
def networks(trained: Path, landscape: Callable[..., Any]) -> list[str]:
    """The networks in the folder that commands run in."""
    shutil.copytree(trained, ".", dirs_exist_ok=True)
    return NAMES


@pytest.mark.parametrize("case", ["raw", "aligned", "sampled", "star", "spherical"])
def test_it_writes_what_python_returns(landscape: Callable[..., Any], networks: list[str], case: str) -> None:
    folder = "n/" if case == "spherical" else ""
    files = [folder + name for name in networks]
    options: dict[str, list[str]] = {
        "aligned": ["--align", "weight", "--align-rounds", "2"],
        "sampled": ["--train-on", "connector"],
        "star": ["--shape", "star", "--centres", "2", "--loss"],
    }
    done = landscape(
        "path", *files, *CONNECT, *options.get(case, []), "--connector-out", "v-{vertex}.st", "--seed", "3"
    )
    assert done.code == 0, done.err
    found = json.loads(done.out)
    checkpoints = [read_checkpoint(name) for name in files]
    params = [network.params for network in checkpoints]
    spec, record = checkpoints[0].model, checkpoints[0].data
    model = build_model(spec, {name: tensor.clone() for name, tensor in params[0].items()})
    symmetry = trace_symmetry(model, torch.zeros(2, 21))
    if case == "aligned":
        params = align_set(model, params, symmetry, method="weight", rounds=2, seed=3).networks
    result = connector(
        model,
        params,
        load_data(DataSpec.from_record(record), preprocessing=record),
        spec=spec,
        symmetry=symmetry,
        shape="star" if case == "star" else None,
        centres=2 if case == "star" else 1,
        train_on="connector" if case == "sampled" else "vertices",
        geometry="spherical" if case == "spherical" else "linear",
        recipe=Recipe(2, 0.1, 0.9, 32, 0.0),
        points=3,
        loss=case == "star",
        names=files,
        seed=3,
    )
    provenance = found.pop("provenance")
    body = json.loads(json.dumps(result.to_dict()))
    for vertex in found["vertices"]:
        path = vertex.pop("path", None)
        assert (path is not None) == vertex["trained"]
        if path is not None:
            assert path == f"v-{vertex['name']}.st"
            written = read_checkpoint(path)
            expected = result.trained[vertex["name"]]
            assert all(torch.equal(written.params[name], tensor) for name, tensor in expected.items())
            assert written.metrics["train_error"] == vertex["train_error"]
            steps = ["train", "normalize"] if case == "spherical" else ["train"]
            commands = [step["command"].split()[1] for step in written.history]
            assert commands == steps * len(vertex["of"]) + ["path"]
            assert written.normalized is None
    for vertex, expected in zip(found["vertices"], body["vertices"], strict=True):
        for here, there in zip(vertex.pop("distances"), expected.pop("distances"), strict=True):
            assert here["euclidean"] == there["euclidean"]
    assert found == body
    arguments = provenance["arguments"]
    assert (arguments["kind"], arguments["points"], arguments["lr"]) == ("connector", 3, 0.1)
    assert (arguments["shape"], arguments["geometry"]) == (body["shape"], body["geometry"])
    assert "connector_out" not in arguments
    assert list(provenance["inputs"]) == files


def test_results(landscape: Callable[..., Any], networks: list[str]) -> None:
    pytest.importorskip("matplotlib")
    command = ["path", *networks, *CONNECT]
    done = landscape(*command, "-o", "x.csv", "--plot", "x.png")
    assert done.code == 0, done.err
    assert "connector: train error at most" in done.err
    lines = Path("x.csv").read_text().splitlines()
    rows = list(csv.DictReader(lines[1:]))
    result = json.loads(landscape(*command).out)
    assert len(rows) == result["connector"]["points"]
    assert max(float(row["train_error"]) for row in rows) == result["connector"]["train"]["max"]
    assert max(float(row["before_test_error"]) for row in rows) == result["before"]["test"]["max"]
    facets = {"-".join(facet["vertices"]) for facet in result["facets"]}
    assert {row["facet"] for row in rows} <= facets
    assert Path("x.png").stat().st_size > 10_000
    table = " ".join(landscape(*command, "--format", "table").out.split())
    assert all(word in table for word in ("abc", "a.st b.st c.st", "before training", "networks' simplex"))
    first = Path("x.csv").read_bytes(), Path("x.png").read_bytes()
    assert landscape(*command, "-o", "x.csv", "--plot", "x.png", "--force").code == 0
    assert (Path("x.csv").read_bytes(), Path("x.png").read_bytes()) == first
    usual = json.loads(landscape("path", *networks[:2], "--kind", "connector", "--epochs", "1").out)
    assert usual["connector"]["points"] == 13  # two edges of seven points, one shared
    assert usual["provenance"]["arguments"]["points"] == 7


def test_midpoints_on_points_of_their_path(landscape: Callable[..., Any], networks: list[str]) -> None:
    bend = ["path", *networks[:2], "--optimize-midpoint", "--epochs", "2", "--batch-size", "32", "--points", "3"]
    alone, sampled = (json.loads(landscape(*bend, *o).out) for o in ([], ["--train-on", "connector"]))
    assert alone["points"] != sampled["points"]
    assert "train_on" not in alone["provenance"]["arguments"]
    assert sampled["provenance"]["arguments"]["train_on"] == "connector"
    spherical = ["path", "n/a.st", "n/b.st", *bend[3:], "--kind", "geodesic", "--train-on", "connector"]
    assert landscape(*spherical).code == 0
    refused = landscape("path", "bin-1.st", "bin-2.st", "--optimize-midpoint", "--train-on", "connector")
    refused.check_refused("--train-on must be vertices", "binary")


def test_a_diverging_vertex_is_reported(
    landscape: Callable[..., Any], networks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.measures.test_connector import failing_for

    monkeypatch.setattr("landscape_cli.measures.connector_optimizer.train_vertex", failing_for("bc"))
    done = landscape("path", *networks, *CONNECT, "--connector-out", "v-{vertex}.st")
    assert done.code == 2
    assert done.err.count("the vertex bc is missing: ") == 1
    assert done.err.splitlines()[-1].endswith("1 of 4 vertices are missing, and with them their facets: lower --lr")
    result = json.loads(done.out)
    assert result["connector"]["train"]["max"] is None
    assert [Path(f"v-{name}.st").exists() for name in ("ab", "ac", "bc", "abc")] == [True, True, False, True]
    done = landscape("path", *networks, *CONNECT[:-4], "--lr", "1e30")
    done.check_refused("every vertex is missing (ab, ac, bc, abc): training the vertex abc diverged", "all")


def test_room_is_looked_for_before_training(
    landscape: Callable[..., Any], networks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from landscape_cli.io import atomic

    full = SimpleNamespace(f_bavail=1, f_frsize=20, f_blocks=9)
    monkeypatch.setattr(atomic.os, "statvfs", lambda _: full)
    monkeypatch.setattr("landscape_cli.samplers.loop.Loop.run", lambda *_: pytest.fail("training was begun"))
    done = landscape("path", *networks, *CONNECT, "--connector-out", "v-{vertex}.st")
    done.check_refused("4 networks take about", "connector")
    bend = ["path", *networks[:2], "--optimize-midpoint", "--midpoint-out", "m.st"]
    landscape(*bend).check_refused("numbers take about", "midpoint")


def test_a_lost_vertex_and_a_refused_file_are_both_told(
    landscape: Callable[..., Any], networks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.cli.test_outputs import refuse
    from tests.measures.test_connector import failing_for

    monkeypatch.setattr("landscape_cli.measures.connector_optimizer.train_vertex", failing_for("bc"))
    refuse(monkeypatch, "v-ab.st")
    last = landscape("path", *networks, *CONNECT, "--connector-out", "v-{vertex}.st").err.splitlines()[-1]
    assert last.startswith(
        "landscape: error: cannot write v-ab.st: No space left on device; 1 of 4 vertices are missing"
    )


def test_a_full_disk_costs_a_vertex_and_not_the_result(
    landscape: Callable[..., Any], networks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from landscape_cli.io import atomic

    plain: Callable[..., Path] = atomic._stage

    def stage(path: Path, *rest: Any) -> Path:
        staged = plain(path, *rest)
        if path.name in {"v-bc.st", "m.st"}:
            raise OSError(errno.ENOSPC, "No space left on device")
        return staged

    monkeypatch.setattr(atomic, "_stage", stage)
    before = set(Path().iterdir())
    command = ["path", *networks, *CONNECT, "--connector-out", "v-{vertex}.st", "-o", "x.json"]
    done = landscape(*command)
    assert done.code == 2
    assert done.err.splitlines()[-1] == "landscape: error: cannot write v-bc.st: No space left on device"
    written = {Path(f"v-{name}.st") for name in ("ab", "ac", "abc")}
    assert set(Path().iterdir()) - before == {*written, Path("x.json")}
    vertices = json.loads(Path("x.json").read_text())["vertices"]
    assert {Path(vertex["path"]) for vertex in vertices if "path" in vertex} == written
    bend = ["path", *networks[:2], "--optimize-midpoint", "--epochs", "1", "--points", "3", "--midpoint-out", "m.st"]
    done = landscape(*bend)
    assert (done.code, json.loads(done.out)["midpoint"].get("path"), Path("m.st").exists()) == (2, None, False)
    assert done.err.splitlines()[-1] == "landscape: error: cannot write m.st: No space left on device"


COMMON = ["--kind", "connector"]
REFUSED: dict[str, tuple[list[str], str]] = {
    "pairs": ([*COMMON, "--pairs", "all"], "--pairs does not go with --kind connector"),
    "orders": ([*COMMON, "--orders", "3"], "--orders does not go with --kind connector"),
    "midpoint": ([*COMMON, "--optimize-midpoint"], "--optimize-midpoint does not go with --kind connector"),
    "midpoint's file": ([*COMMON, "--midpoint-out", "m.st"], "--midpoint-out does not go with --kind connector"),
    "rounds of nothing": ([*COMMON, "--align-rounds", "2"], "--align-rounds is for --align"),
    "negative rounds": ([*COMMON, "--align", "cosine", "--align-rounds", "-1"], "--align-rounds"),
    "shape": ([*COMMON, "--shape", "ring"], "--shape"),
    "centres": ([*COMMON, "--shape", "complex", "--centres", "2"], "--centres is for --shape star"),
    "no centre": ([*COMMON, "--centres", "0"], "--centres"),
    "target": ([*COMMON, "--train-on", "edges"], "--train-on"),
    "geometry": ([*COMMON, "--geometry", "flat"], "--geometry"),
    "raw on spheres": ([*COMMON, "--geometry", "spherical"], "a.st is not normalised, so no spherical connector"),
    "orthogonal points": ([*COMMON, "--orthogonal", "--train-on", "connector"], "--orthogonal is for vertices"),
    "points": ([*COMMON, "--points", "300"], "lower --points"),
    "one point": ([*COMMON, "--points", "1"], "--points"),
    "until": ([*COMMON, "--until-error", "2"], "a fraction from 0 to 1"),
    "rate": ([*COMMON, "--lr", "-1"], "--lr must be a positive number, and is -1.0"),
    "epochs": ([*COMMON, "--epochs", "0"], "--epochs"),
    "unknown field": (
        [*COMMON, "--connector-out", "{vertex}-{foo}.st"],
        "{vertex}-{foo}.st has a field that is not known: only {vertex} is",
    ),
    "field of a midpoint": (
        ["--optimize-midpoint", "--midpoint-out", "{start}-{vertex}.st"],
        "{start}-{vertex}.st has a field that is not known: only {start} and {end} are",
    ),
    "one file": ([*COMMON, "--connector-out", "v.st"], "several vertices would be written to v.st"),
    "suffix": ([*COMMON, "--connector-out", "v-{vertex}.txt"], ".st or .safetensors"),
    "folder": ([*COMMON, "--connector-out", "missing/{vertex}.st"], "create it first"),
    "taken": ([*COMMON, "--connector-out", "taken-{vertex}.st"], "taken-ab.st exists already"),
    "a result": ([*COMMON, "--connector-out", "{vertex}.st", "-o", "ab.st"], ".json or .csv"),
    "shape of a path": (["--shape", "star"], "--shape is for --kind connector: leave it out"),
    "centres of a path": (["--centres", "1"], "--centres is for --kind connector: leave it out"),
    "target of a path": (["--train-on", "vertices"], "--train-on is for --kind connector or --optimize-midpoint"),
    "geometry of a path": (["--geometry", "linear"], "--geometry is for --kind connector: leave it out"),
    "orthogonal path": (["--orthogonal"], "--orthogonal is for --kind connector: leave it out"),
    "orthogonal midpoint": (["--optimize-midpoint", "--orthogonal"], "--orthogonal is for --kind connector"),
    "rounds of a pair": (["--align", "cosine", "--align-rounds", "1"], "--align-rounds is for --kind connector"),
    "vertices of a path": (["--connector-out", "v-{vertex}.st"], "--connector-out is for --kind connector"),
    "epochs of a path": (["--epochs", "3"], "--epochs is for --optimize-midpoint or --kind connector"),
}


def test_refusals(landscape: Callable[..., Any], networks: list[str]) -> None:
    Path("taken-ab.st").write_text("precious")
    before = {path: path.read_bytes() for path in Path().rglob("*.st")}
    for case, (options, words) in REFUSED.items():
        files = networks if options[:2] == COMMON else networks[:2]
        landscape("path", *files, *options).check_refused(words, case)
    files = {
        "same file": (["a.st", "b.st", "a.st"], "a.st and a.st are the same network"),
        "same network": (["a.st", "copy.st"], "a.st and copy.st are the same network"),
        "binary": (["bin-1.st", "bin-2.st"], "no connector between binary networks: use --kind shortest"),
        "pattern": (["[ab].st", "c.st"], "[ab].st is a pattern"),
        "another model": (["a.st", "bin-1.st"], "bin-1.st"),
        "missing": (["a.st", "nothing.st"], "nothing.st"),
        "six": ([*NAMES, *("n/" + name for name in NAMES), "--shape", "complex"], "has 57 vertices and 720 facets"),
    }
    shutil.copy("a.st", "copy.st")
    for case, (arguments, words) in files.items():
        landscape("path", *arguments, *COMMON).check_refused(words, case)
    assert landscape("path", "a.st", *COMMON).code == 2
    Path("copy.st").unlink()
    itself = landscape("path", "a.st", "b.st", *COMMON, "--connector-out", "{vertex}.st", "--shape", "star", "--force")
    assert itself.code == 0  # 1.st is none of the networks
    shutil.copy("a.st", "1.st")
    star = ["--shape", "star", "--connector-out", "{vertex}.st", "--force"]
    landscape("path", "1.st", "b.st", *COMMON, *star).check_refused("one of the networks themselves", "itself")
    Path("1.st").unlink()
    assert {path: path.read_bytes() for path in Path().rglob("*.st")} == before


def test_networks_that_are_one_up_to_a_permutation(landscape: Callable[..., Any], networks: list[str]) -> None:
    from tests.cli.commands.test_path_pairs import write_permuted

    write_permuted("a.st", "moved.st")
    done = landscape("path", "a.st", "b.st", "moved.st", *CONNECT, "--align", "cosine")
    done.check_refused("a.st, aligned, and moved.st, aligned, are the same network", "moved")
    assert landscape("path", "a.st", "moved.st", *CONNECT).code == 0


def test_tables_at_80_columns(landscape: Callable[..., Any], networks: list[str]) -> None:
    long = "a-name-as-people-give-them-to-networks.st"
    shutil.copy("a.st", long)
    command = ["path", long, *networks[1:], *CONNECT, "--loss", "--quiet"]
    shown = shown_on_terminal(*command)
    body = json.loads(landscape(*command).out)
    assert not re.search(r"[0-9.]…[0-9]", shown)
    rows = cells_of(shown)
    names = [[str(Path(body["networks"][k]).name) for k in vertex["of"]] for vertex in body["vertices"]]
    for cells, vertex, of in zip(rows, body["vertices"], names, strict=False):
        parts = [f"({re.escape(name)}|{re.escape(name[:3])}.*….*{re.escape(name[-3:])})" for name in of]
        assert cells[0] == vertex["name"]
        assert re.fullmatch(" ?".join(parts), cells[1]), cells
        assert float(cells[3]) == pytest.approx(vertex["train_error"], rel=1e-3)
    sets = [("connector", body["connector"]), ("before training", body["before"])]
    sets.append(("networks' simplex", body["simplex"]))
    expected = [
        [name, str(values["points"]), f"{split} {what}"]
        + [(values if what == "error" else values["loss"])[split][figure] for figure in ("max", "mean")]
        for name, values in sets
        for what in ("error", "loss")
        for split in ("train", "test")
    ]
    found = [[*cells[:3], *map(float, cells[3:5])] for cells in rows[len(names) :]]
    for row, of in zip(found, expected, strict=True):
        assert row[:3] == of[:3]
        assert row[3:] == pytest.approx(of[3:], rel=1e-3)
