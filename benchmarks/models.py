"""Put every classification model of torchvision to the proof: python benchmarks/models.py [NAME ...].

Writes docs/models.md.

Each model is built with random weights, traced, moved by random symmetries and recovered, in a process of its own, so
that only one is in memory: the largest need 20 GB. A model's row goes to docs/models.jsonl when it is done, and is not
made again unless named. All models take about an hour on one thread.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from landscape_cli.alignment.align import match_networks
from landscape_cli.normalization.normalize import normalize_params
from landscape_cli.symmetry import (
    Symmetry,
    flip,
    permute,
    random_permutations,
    random_signs,
    rescale,
    trace_symmetry,
)
from landscape_cli.torchvision_compat import import_torchvision

DOCS = Path(__file__).parent.parent / "docs"
CACHE, TABLE = DOCS / "models.jsonl", DOCS / "models.md"
PLAIN = {"input", "output", "a place of a convolution's kernel", "never used"}
"""Reasons why an axis is fixed that are there for all to see."""
ARGUMENTS = {"googlenet": {"init_weights": False}, "inception_v3": {"init_weights": False}}
SIDES = {"inception_v3": 299}
LIMIT = 1e-9
TOLERANCE = 1e-6

INTRODUCTION = """# Models of torchvision

Every classification model of torchvision, traced with no table written by hand. Made by
`python benchmarks/models.py` with {versions}.
All tensors are random: weights as torchvision draws them with noise on top, biases, gains, layer scales and
batch-norm's running statistics too, so that nothing is zero, one, or the same for all units.

* **M**: parameters, in millions.
* **groups, units**: permutation groups, and the units in them that can trade places. Heads of attention count, and
  so do the units within.
* **scale, sign**: groups of units whose scale, and whose sign, is free.
* **fixed**: axes that stay as they are for another reason than that they are inputs, outputs or places of a
  convolution's kernel: see the second table.
* **trace**: CPU seconds of `trace_symmetry` on one thread, on two zero images.
* **permuted, rescaled, flipped**: how far the outputs move in float64 under a random element of all groups at once,
  relative to the largest output: factors are log-normal with σ = 1, and all outputs grow by 2.5 where they may.
* **found**: whether `align` by cosines undoes a random permutation with flips exactly, in float32.
* **and scales**: whether `normalize` and then `align` undo a random permutation, flips and a rescaling with σ = 2: all
  labels found, and all tensors equal to {tolerance:g} of their largest number; in float64.
"""


def build(name: str) -> nn.Module:
    """Return a model of torchvision with random weights."""
    torch.manual_seed(0)
    models = import_torchvision("models")
    model: nn.Module = models.get_model(name, weights=None, **ARGUMENTS.get(name, {}))
    return model.eval().requires_grad_(False)


def randomized(model: nn.Module, source: torch.Generator) -> dict[str, Tensor]:
    """Return the model's tensors with noise on all of them, float32."""
    result = {}
    for name, tensor in model.state_dict().items():
        noise = torch.randn(tensor.shape, generator=source)
        if not tensor.is_floating_point():
            result[name] = tensor
        elif name.endswith("running_var"):
            result[name] = torch.rand(tensor.shape, generator=source) * 1.5 + 0.5
        elif tensor.ndim <= 1:
            result[name] = tensor + 0.3 * noise
        else:
            spread = float(tensor.std()) if tensor.numel() > 1 else 0.0
            result[name] = tensor + 0.3 * (spread or 1.0) * noise
    return result


def in_float64(params: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a network in float64."""
    return {name: tensor.double() if tensor.is_floating_point() else tensor for name, tensor in params.items()}


def random_factors(symmetry: Symmetry, sigma: float, source: torch.Generator) -> dict[str, Tensor]:
    """Return log-normal factors for the units of every scale group."""
    return {
        group.name: torch.exp(sigma * torch.randn(group.size, generator=source, dtype=torch.float64))
        for group in symmetry.scales
    }


def empty(model: nn.Module) -> nn.Module:
    """Let go of a model's parameters, which calls bring with them, and keep what else is in it, in float64."""
    for parameter in model.parameters():
        parameter.data = torch.zeros((), dtype=torch.float64).expand(parameter.shape)
    for module in model.modules():
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, buffer.double() if buffer.is_floating_point() else buffer)
    return model


def errors(
    model: nn.Module, params: Mapping[str, Tensor], symmetry: Symmetry, side: int, source: torch.Generator
) -> dict[str, float]:
    """Return by how much random elements of the symmetry change the outputs, relative to the largest."""
    x = torch.randn(1, 3, side, side, generator=source, dtype=torch.float64)

    def outputs(network: Mapping[str, Tensor]) -> Tensor:
        result: Tensor = torch.func.functional_call(model, dict(network), (x,), tie_weights=False)
        return result

    expected = outputs(params)

    def error(outputs: Tensor, factor: float = 1.0) -> float:
        return float((outputs - factor * expected).abs().max() / (factor * expected).abs().max())

    growth = 2.5 if symmetry.output else 1.0
    factors = random_factors(symmetry, 1.0, source)
    return {
        "permuted": error(outputs(permute(params, symmetry, random_permutations(symmetry, generator=source)))),
        "rescaled": error(outputs(rescale(params, symmetry, factors, output=growth)), growth),
        "flipped": error(outputs(flip(params, symmetry, random_signs(symmetry, generator=source)))),
    }


def same(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    """Tell whether two networks hold the same numbers."""
    return all(torch.equal(a[name], b[name]) for name in a)


def worst(params: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> float:
    """Return the largest difference between tensors of two networks, relative to the largest number of each."""
    result = 0.0
    for name, tensor in expected.items():
        if tensor.numel() and tensor.is_floating_point():
            result = max(result, float((params[name] - tensor).abs().max() / tensor.abs().max()))
    return result


def recovered(params: Mapping[str, Tensor], symmetry: Symmetry, source: torch.Generator) -> dict[str, Any]:
    """Tell whether a planted permutation with flips is found, and whether it is with rescaling, by normalising."""
    permuted = permute(params, symmetry, random_permutations(symmetry, generator=source))
    planted = flip(permuted, symmetry, random_signs(symmetry, generator=source))
    start = time.process_time()
    alignment = match_networks(params, planted, symmetry)
    result: dict[str, Any] = {"align": time.process_time() - start, "found": same(params, alignment.params)}
    del alignment, planted, permuted
    labels = random_permutations(symmetry, generator=source)
    moved = permute(in_float64(params), symmetry, labels)
    moved = flip(moved, symmetry, random_signs(symmetry, generator=source))
    moved = rescale(moved, symmetry, random_factors(symmetry, 2.0, source))
    moved = normalize_params(moved, symmetry).params
    reference = normalize_params(in_float64(params), symmetry).params
    alignment = match_networks(reference, moved, symmetry)
    result["off"] = worst(alignment.params, reference)
    permutations = alignment.permutations
    del alignment, moved, reference
    labelled = permute(permute(params, symmetry, labels), symmetry, permutations)
    return result | {"labels": same(params, labelled)}


def examine(name: str) -> dict[str, Any]:
    """Return the row of a model."""
    torch.set_num_threads(1)
    trace_symmetry(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval(), torch.zeros(2, 3, 8, 8))  # what loads but once
    source = torch.Generator().manual_seed(1)
    side = SIDES.get(name, 224)
    model = build(name)
    start = time.process_time()
    symmetry = trace_symmetry(model, torch.zeros(2, 3, side, side))
    seconds = time.process_time() - start
    row: dict[str, Any] = {
        "model": name,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "groups": len(symmetry.permutations),
        "units": sum(group.units for group in symmetry.permutations),
        "scales": len(symmetry.scales),
        "signs": len(symmetry.signs),
        "trace": seconds,
        "fixed": Counter(re.sub(r" in the module '.*'$", "", axis.reason) for axis in symmetry.fixed),
        "notes": list(symmetry.notes),
    }
    params = randomized(model, source)
    with torch.no_grad():
        row |= errors(empty(model), in_float64(params), symmetry, side, source)
        row |= recovered(params, symmetry, source)
    return row


def is_good(row: Mapping[str, Any]) -> bool:
    """Tell whether a model came through."""
    kept = max(row["permuted"], row["rescaled"], row["flipped"]) < LIMIT
    return kept and row["found"] and row["labels"] and row["off"] < TOLERANCE


def others(row: Mapping[str, Any]) -> dict[str, int]:
    """Return how many axes are fixed, for each reason that is not plain."""
    return {reason: count for reason, count in row["fixed"].items() if reason not in PLAIN}


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return all rows in Markdown."""
    columns = ["M", "groups", "units", "scale", "sign", "fixed", "trace"]
    columns += ["permuted", "rescaled", "flipped", "found", "and scales"]
    lines = [f"| model | {' | '.join(columns)} |", "|---|" + "---:|" * len(columns)]
    for row in rows:
        cells = [row["model"], f"{row['parameters'] / 1e6:.1f}"]
        cells += [str(row[key]) for key in ("groups", "units", "scales", "signs")]
        cells += [str(sum(others(row).values())), f"{row['trace']:.1f}"]
        cells += [f"{row[key]:.0e}" if row[key] else "0" for key in ("permuted", "rescaled", "flipped")]
        cells += ["yes" if row["found"] else "**no**"]
        cells += ["yes" if row["labels"] and row["off"] < TOLERANCE else "**no**"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def reasons(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return what is fixed in which models, and why, in Markdown."""
    where: dict[str, list[str]] = {}
    for row in rows:
        for reason, count in others(row).items():
            where.setdefault(reason, []).append(f"{row['model']} {count}")
    lines = ["| why | axes |", "|---|---|"]
    return "\n".join([*lines, *(f"| {reason} | {', '.join(models)} |" for reason, models in where.items())])


def document(rows: list[dict[str, Any]], wanted: list[str]) -> str:
    """Return the page."""
    good, slowest = sum(map(is_good, rows)), max(rows, key=lambda row: row["trace"])
    torchvision = import_torchvision("version").__version__
    versions = f"torch {torch.__version__}, torchvision {torchvision}, Python {platform.python_version()}"
    missing = sorted(set(wanted) - {row["model"] for row in rows})
    parts = [
        INTRODUCTION.format(versions=versions, tolerance=TOLERANCE),
        f"Of {len(wanted)} models {good} keep their function and are recovered in every column. Tracing takes at most "
        f"{slowest['trace']:.1f} s ({slowest['model']})." + (f" Not done: {', '.join(missing)}." if missing else ""),
        table(rows),
        "## Fixed for other reasons\n\nHow many axes, by model. What is never used, the heads that GoogLeNet and "
        "Inception have for training, is left out too.",
        reasons(rows),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def read_cache() -> dict[str, dict[str, Any]]:
    """Return the rows made so far, by model, the last one of each."""
    lines = CACHE.read_text().splitlines() if CACHE.exists() else []
    return {row["model"]: row for row in map(json.loads, lines)}


def main() -> None:
    """Make the rows that are missing, smallest models first, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="models to make again")
    parser.add_argument("--one", metavar="NAME", help="print the row of one model")
    parser.add_argument("--table", action="store_true", help="only write the page from the rows there are")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(examine(options.one)))
        return
    models = import_torchvision("models")
    names = models.list_models(module=models)
    names.sort(key=lambda name: models.get_model_weights(name).DEFAULT.meta["num_params"])
    wanted = [] if options.table else options.names or [name for name in names if name not in read_cache()]
    for name in wanted:
        done = subprocess.run([sys.executable, __file__, "--one", name], stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            print(f"{name}: failed", file=sys.stderr)
            continue
        with CACHE.open("a") as file:
            file.write(done.stdout)
        print(done.stdout.strip(), "" if is_good(json.loads(done.stdout)) else "  <<< NOT GOOD", flush=True)
    rows = read_cache()
    TABLE.write_text(document([rows[name] for name in sorted(names) if name in rows], names))


if __name__ == "__main__":
    main()
