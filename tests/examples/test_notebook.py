"""The notebook runs from top to bottom, what it finds is what it says, and what it shows is whole and small."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import landscape_cli
from tests.support.notebook import NOTEBOOK, code_cells, read, source

CELLS = code_cells(read())
TRACES = re.compile(r"/home|/root|/tmp|/work|/usr|\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d", re.IGNORECASE)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Run all cells in one namespace, in an empty folder and without a display."""
    matplotlib = pytest.importorskip("matplotlib")
    names: dict[str, Any] = {"__name__": "__main__"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("notebook"))
        patch.setenv("MPLBACKEND", "agg")
        matplotlib.use("agg")
        import torch

        with torch.random.fork_rng(devices=[]):
            for number, cell in enumerate(CELLS):
                exec(compile(source(cell), f"cell {number}", "exec"), names)
        assert not list(Path.cwd().iterdir())  # it leaves nothing behind
    yield names
    names["plt"].close("all")


def test_solutions_and_proofs(ran: dict[str, Any]) -> None:
    for proof in (ran["u"].proof, ran["v"].proof, ran["aligned"].proof, ran["raw_aligned"].proof):
        assert proof.in_float64
        assert proof.probes == 256
        assert proof.decisions == 0
        assert proof.relative < 1e-5
    scores = ran["evaluator"].evaluate([ran["a"], ran["b"], ran["u"].params, ran["aligned"].params])
    for split in ("train", "test"):
        wrong = scores[split].wrong.tolist()
        assert wrong[:2] == wrong[2:]  # both have their function still
    assert float(scores["train"].error.max()) < 0.05
    assert ran["symmetry"].notes == ()


def test_alignment_brings_networks_together(ran: dict[str, Any]) -> None:
    before, after = ran["before"], ran["after"]
    assert after["geodesic"] < before["geodesic"]
    assert after["cosine"] > before["cosine"]
    barriers = {name: path.barrier["train"].max for name, path in ran["paths"].items()}
    assert barriers["linear, aligned"] < barriers["linear, as trained"]
    assert barriers["geodesic"] < barriers["linear, as trained"]
    assert barriers["optimized"] < barriers["geodesic"]
    assert ran["bent"].epochs > 0


def test_flat_is_flatter_and_scales_do_not_matter(ran: dict[str, Any]) -> None:
    flat, sharp = (ran["energies"][name].mean("train") for name in ("flat", "sharp"))
    assert bool((flat < sharp).all())
    assert ran["normalized_energy"].mean("train").tolist() == pytest.approx(flat.tolist(), abs=1e-3)


def test_files_and_planes(ran: dict[str, Any]) -> None:
    assert ran["again"].normalized == ran["u"].normalized
    assert ran["again"].model == ran["spec"]
    assert ran["mine"].model.name == "mlp"
    assert [len(row) for row in ran["plane"].grid("train_error")] == [17] * 17
    assert {axes.get_xlabel() for axes in ran["axes"].figure.axes}  # the figure of the plane was drawn


def test_what_is_shown() -> None:
    notebook = read()
    assert NOTEBOOK.stat().st_size < 300_000
    assert (notebook["nbformat"], notebook["nbformat_minor"]) >= (4, 5)
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    assert [cell["execution_count"] for cell in CELLS] == list(range(1, len(CELLS) + 1))
    pictures = 0
    for cell in notebook["cells"]:
        assert not cell["metadata"]
        assert not TRACES.search(source(cell))
        for output in cell.get("outputs", ()):
            assert output["output_type"] in {"stream", "display_data"}  # no error
            assert output.get("name", "stdout") == "stdout"  # and no warning
            assert not TRACES.search("".join(output.get("text", ())))
            if "data" in output:
                assert base64.b64decode(output["data"]["image/png"]).startswith(b"\x89PNG")
                pictures += 1
    assert pictures == 2
    assert all(cell["outputs"] for cell in CELLS[1:])


def test_it_uses_public_names_alone_and_most_of_the_chain() -> None:
    text = "\n".join(map(source, CELLS))
    used = set(re.findall(r"\bll\.(\w+)", text))
    assert used <= set(landscape_cli.__all__)
    assert {
        "train",
        "trace_symmetry",
        "normalize",
        "align",
        "distance",
        "path",
        "barrier",
        "plane",
        "local_energy",
    } <= used
    assert {"optimize_midpoint", "read_checkpoint", "write_checkpoint", "read_network"} <= used
    assert not re.search(r"landscape_cli\.(?!__all__)", text)
