"""Networks whose weights are made of parts are measured as the plain ones that they amount to, and keep their form."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from landscape_cli.io.checkpoint import read_checkpoint
from landscape_cli.models.effective import effective
from tests.conftest import Outcome
from tests.support.pruned import SHAPE, factory, masks_of, pruned, tensors, wrapped

Landscape = Callable[..., Outcome]
FILES, NORMAL = ("a.pt", "b.pt"), ("n/a.st", "n/b.st")
DATA = ("--data", "data.safetensors")
CASES = {
    "pruned": ("pruned&bn=true", lambda seed: pruned("batch norm", "structured", seed)),
    "weight norm": ("weight norm", lambda seed: wrapped("weight norm", seed)),
    "spectral norm": ("spectral norm, hook", lambda seed: wrapped("spectral norm, hook", seed)),
}
MEASURES = {
    "distance": ("distance", *NORMAL, "--ensemble", "--align", "weight", *DATA),
    "path": ("path", *FILES, "--align", "cosine", "--points", "4", *DATA),
    "geodesic": ("path", *NORMAL, "--kind", "geodesic", "--points", "4", *DATA),
    "plane": ("plane", *FILES, "--third", "origin", "--grid", "3", *DATA),
    "flatness": ("flatness", *FILES, "--sigma", "0.3", "--samples", "3", "--all-parameters", *DATA),
    "midpoint": ("path", *NORMAL, "--optimize-midpoint", "--epochs", "1", "--points", "3", *DATA),
    "connector": ("path", *NORMAL, "--kind", "connector", "--epochs", "1", "--points", "3", *DATA),
}


def numbers(value: Any, name: str = "") -> dict[str, float]:
    """Return the numbers of a result, but for what says where it comes from."""
    if isinstance(value, dict):
        parts = [numbers(part, f"{name}.{key}") for key, part in value.items() if key != "provenance"]
    elif isinstance(value, list):
        parts = [numbers(part, f"{name}.{k}") for k, part in enumerate(value)]
    else:
        return {name: value} if isinstance(value, int | float) else {}
    return {key: number for part in parts for key, number in part.items()}


def prepare(landscape: Landscape, case: str, *, plain: bool) -> tuple[str, ...]:
    """Write two networks, and both normalised; return the options that say what they are."""
    name, make = CASES[case]
    for seed, file in enumerate(FILES):
        model = make(seed).float()
        torch.save(dict(effective(model, tensors(model))) if plain else model.state_dict(), file)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60, *SHAPE, generator=generator)
    y = torch.arange(60) % 4
    save_file({"x_train": x, "y_train": y, "x_test": x[:20].clone(), "y_test": y[:20].clone()}, "data.safetensors")
    named = f"tests.support.pruned:factory?wrap={name}" + ("&bn=true" if plain and "bn" in name else "")
    named = named.replace(name, "plain") if plain else named
    options = ("--model", named, "--input-shape", ",".join(map(str, SHAPE)))
    done = landscape("normalize", *FILES, "--out-dir", "n", *options)
    assert done.code == 0, done.err
    return options


@pytest.mark.parametrize("case", CASES)
def test_measures_see_effective_weights(
    landscape: Landscape, case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command gives the numbers of the networks burnt in."""
    found: list[dict[str, dict[str, float]]] = []
    for plain in (False, True):
        (tmp_path / str(plain)).mkdir()
        monkeypatch.chdir(tmp_path / str(plain))
        options = prepare(landscape, case, plain=plain)
        found.append({})
        for measure, command in MEASURES.items():
            if case != "pruned" and measure not in {"distance", "geodesic"}:
                continue
            done = landscape(*command, *options, "--format", "json")
            assert done.code == 0, done.err
            found[-1][measure] = numbers(json.loads(done.out))
    for measure, ours in found[0].items():
        assert ours
        torch.testing.assert_close(ours, found[1][measure], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_files_keep_their_form(landscape: Landscape, case: str) -> None:
    """What is normalised, aligned or trained is loaded by the owner's code, where the parts can hold it."""
    options = prepare(landscape, case, plain=False)
    done = landscape("align", *(FILES if case == "spectral norm" else NORMAL), "-o", "aligned.st", *options)
    assert done.code == 0, done.err
    ends = FILES if case == "spectral norm" else (NORMAL[0], "aligned.st")
    trained = ("--optimize-midpoint", "--epochs", "1", "--points", "2", "--midpoint-out", "middle.st")
    middle = landscape("path", *ends, *trained, *DATA, *options)
    assert middle.code == 0, middle.err
    model = CASES[case][1](0)
    shapes = {key: tensor.shape for key, tensor in model.state_dict().items()}
    written = {file: read_checkpoint(file).params for file in ("n/a.st", "aligned.st", "middle.st")}
    assert {key: tensor.shape for key, tensor in written["aligned.st"].items()} == shapes
    if case == "spectral norm":
        assert written["n/a.st"].keys() == factory().state_dict().keys()
        assert "as plain weights" in middle.err
        for name in ("0.weight_u", "5.weight_v"):
            torch.testing.assert_close(written["aligned.st"][name].norm(), torch.tensor(1.0))
    else:
        assert written["n/a.st"].keys() == written["middle.st"].keys() == shapes.keys()
    for network in written.values():
        assert all(bool(((mask == 0) | (mask == 1)).all()) for mask in masks_of(network).values())
    for file in written:  # they are read again, whatever form they have
        done = landscape("distance", "a.pt", file, *DATA, *options)
        assert done.code == 0, done.err
