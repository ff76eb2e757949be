"""Put models of other libraries to the proof: python benchmarks/models.py [--zoo ZOO] [NAME ...].

Writes the section of docs/models.md that a zoo has: torchvision, timm or transformers (benchmarks/zoos.py).

Each model is built with random weights, traced, moved by random symmetries and recovered, in a process of its own, so
that only one is in memory: torchvision's largest need 20 GB. A model's row goes to docs/models.jsonl when it is done,
and is not made again unless named. The page is written only once all rows are there, or with --table. All models of
torchvision take about an hour on one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from functools import partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))  # run as a file, or as a module

from benchmarks.zoos import ZOOS
from landscape_cli.alignment.align import match_networks
from landscape_cli.errors import LandscapeError, listed, one_line
from landscape_cli.forward.float64 import in_float64 as computing_in_float64
from landscape_cli.forward.functional import run_with
from landscape_cli.forward.outputs import all_outputs
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
from landscape_cli.symmetry.reasons import counted
from landscape_cli.symmetry.tracing import tracer
from landscape_cli.symmetry.tracing.operators import Operator
from landscape_cli.symmetry.tracing.rules import operator_of
from landscape_cli.torchvision_compat import import_torchvision

DOCS = Path(__file__).parent.parent / "docs"
CACHE, TABLE = DOCS / "models.jsonl", DOCS / "models.md"
PLAIN = {"input", "output", "a place of a convolution's kernel", "never used"}
"""Reasons why an axis is fixed that are there for all to see."""
MEMORY, SECONDS, PARAMETERS = 12 << 30, 90, 66_000_000
"""What a model of another zoo than torchvision may take: bytes, CPU seconds, numbers."""
TOO_SLOW = f"took more than {SECONDS} CPU seconds"
TOO_LARGE = f"larger than {PARAMETERS / 1e6:.0f} million numbers"
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
    model: nn.Module,
    params: Mapping[str, Tensor],
    symmetry: Symmetry,
    example: Tensor,
    source: torch.Generator,
    *,
    together: bool,
) -> dict[str, float]:
    """Return by how much random elements change the outputs, relative to the largest: `together`, or kind by kind."""
    x = example[:1]
    if x.is_floating_point():
        x = torch.randn(x.shape, generator=source, dtype=torch.float64)

    def outputs(network: Mapping[str, Tensor]) -> Tensor:
        fresh = deepcopy(model)  # as some keep what they made of the parameters of their first call
        with computing_in_float64():  # also where inputs are whole numbers
            return next(iter(all_outputs(run_with(fresh, network, x))))

    expected = outputs(params)

    def error(outputs: Tensor, factor: float = 1.0) -> float:
        return float((outputs - factor * expected).abs().max() / (factor * expected).abs().max())

    growth = 2.5 if symmetry.output else 1.0
    factors = random_factors(symmetry, 1.0, source)
    permutations, signs = random_permutations(symmetry, generator=source), random_signs(symmetry, generator=source)
    if together:
        moved = flip(permute(params, symmetry, permutations), symmetry, signs)
        return {"moved": error(outputs(rescale(moved, symmetry, factors, output=growth)), growth)}
    return {
        "permuted": error(outputs(permute(params, symmetry, permutations))),
        "rescaled": error(outputs(rescale(params, symmetry, factors, output=growth)), growth),
        "flipped": error(outputs(flip(params, symmetry, signs))),
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


def found(params: Mapping[str, Tensor], symmetry: Symmetry, source: torch.Generator) -> dict[str, Any]:
    """Tell whether a planted permutation with flips is found."""
    permuted = permute(params, symmetry, random_permutations(symmetry, generator=source))
    planted = flip(permuted, symmetry, random_signs(symmetry, generator=source))
    start = time.process_time()
    alignment = match_networks(params, planted, symmetry)
    return {"align": time.process_time() - start, "found": same(params, alignment.params)}


def recovered(params: Mapping[str, Tensor], symmetry: Symmetry, source: torch.Generator) -> dict[str, Any]:
    """Tell whether a planted permutation with flips and rescaling is found, by normalising."""
    labels = random_permutations(symmetry, generator=source)
    moved = permute(in_float64(params), symmetry, labels)
    moved = flip(moved, symmetry, random_signs(symmetry, generator=source))
    moved = rescale(moved, symmetry, random_factors(symmetry, 2.0, source))
    moved = normalize_params(moved, symmetry).params
    reference = normalize_params(in_float64(params), symmetry).params
    alignment = match_networks(reference, moved, symmetry)
    off = worst(alignment.params, reference)
    permutations = alignment.permutations
    del alignment, moved, reference
    labelled = permute(permute(params, symmetry, labels), symmetry, permutations)
    return {"off": off, "labels": same(params, labelled)}


def noted(reached: list[str], name: str) -> Operator:
    """Return what is known of an operator, and note that a model's forward pass reached it."""
    if name not in reached:
        reached.append(name)
    return operator_of(name)


def size_of(zoo: str, name: str) -> int:
    """Return how many numbers a model has, without any; 0 if that cannot be told."""
    try:
        with torch.device("meta"):
            return sum(parameter.numel() for parameter in ZOOS[zoo].build(name)[0].parameters())
    except Exception:  # code of others, which needs numbers
        return 0


def examine(zoo: str, name: str) -> dict[str, Any]:
    """Return the row of a model."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    trace_symmetry(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval(), torch.zeros(2, 3, 8, 8))  # what loads but once
    source = torch.Generator().manual_seed(1)
    if zoo != "torchvision" and (size := size_of(zoo, name)) > PARAMETERS:
        return {"zoo": zoo, "model": name, "parameters": size, "refused": TOO_LARGE}
    model, example = ZOOS[zoo].build(name)
    model.eval().requires_grad_(False)
    row: dict[str, Any] = {"zoo": zoo, "model": name, "parameters": sum(p.numel() for p in model.parameters())}
    reached = row["operators"] = []
    start = time.process_time()
    try:
        with mock.patch.object(tracer, "operator_of", partial(noted, reached)):
            symmetry = trace_symmetry(model, example)
    except LandscapeError as refusal:
        return row | {"refused": str(refusal)}
    row |= {
        "groups": len(symmetry.permutations),
        "units": sum(group.units for group in symmetry.permutations),
        "scales": len(symmetry.scales),
        "signs": len(symmetry.signs),
        "trace": time.process_time() - start,
        "fixed": Counter(re.sub(r" in the module '.*'$", "", axis.reason) for axis in symmetry.fixed),
        "unknown": counted(symmetry)["not_understood"],
        "notes": list(symmetry.notes),
    }
    params = randomized(model, source)
    with torch.no_grad():
        by_kind = zoo == "torchvision"
        row |= errors(empty(model), in_float64(params), symmetry, example, source, together=not by_kind)
        if by_kind:
            row |= found(params, symmetry, source)
        row |= recovered(params, symmetry, source)
    return row


def worst_error(row: Mapping[str, Any]) -> float:
    """Return by how much a random element changed the outputs."""
    return max(float(row[key]) for key in ("permuted", "rescaled", "flipped", "moved") if key in row)


def is_good(row: Mapping[str, Any]) -> bool:
    """Tell whether a model came through."""
    if "refused" in row:
        return False
    return worst_error(row) < LIMIT and row.get("found", True) and row["labels"] and row["off"] < TOLERANCE


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


def document(rows: Sequence[Mapping[str, Any]], wanted: Sequence[str]) -> str:
    """Return the section of torchvision."""
    good, slowest = sum(map(is_good, rows)), max(rows, key=lambda row: row["trace"])
    missing = sorted(set(wanted) - {row["model"] for row in rows})
    parts = [
        INTRODUCTION.format(versions=versions("torchvision"), tolerance=TOLERANCE),
        f"Of {len(wanted)} models {good} keep their function and are recovered in every column. Tracing takes at most "
        f"{slowest['trace']:.1f} s ({slowest['model']})." + (f" Not done: {', '.join(missing)}." if missing else ""),
        table(rows),
        "## Fixed for other reasons\n\nHow many axes, by model. What is never used, the heads that GoogLeNet and "
        "Inception have for training, is left out too.",
        reasons(rows),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def versions(distribution: str) -> str:
    """Return what a table was made with."""
    return f"torch {torch.__version__}, {distribution} {version(distribution)}, Python {platform.python_version()}"


OTHERS = """# Models of {title}

{what}
Made by `python benchmarks/models.py --zoo {title}` with {versions}; columns as above.

* **unknown**: axes that are fixed because what becomes of their units is not understood.
* **kept**: whether random permutations, scales and flips change no output by more than {limit:g} of the largest.
* **undone**: whether planted ones, with scales of σ = 2, are undone by `normalize` and `align`.

Refused are models of more than {size:.0f} million numbers, and those that take more than {seconds} CPU seconds or
{memory} GiB in all.
"""
WHAT = {
    "timm": "One model of each family, the one whose name says that it is the smallest, on images of 64 x 64 where "
    "it takes them.",
    "transformers": "Small configurations (two layers, width 16) of texts and images.",
}


CACHED = (
    "keeps the attention biases of its first call (`attention_bias_cache`), so that permuted ones are not seen by the "
    "same object: here each network is given a copy"
)
NOTES = dict.fromkeys(["efficientformerv2_s0", "levit_128", "tiny_vit_5m_224"], CACHED)


def section(zoo: str, rows: Sequence[Mapping[str, Any]], wanted: Sequence[str]) -> str:
    """Return the section of another zoo: what was traced, and what was not, and why."""
    limits = {"limit": LIMIT, "size": PARAMETERS / 1e6, "seconds": SECONDS, "memory": MEMORY >> 30}
    traced = [row for row in rows if "refused" not in row]
    columns = ["M", "groups", "units", "scale", "sign", "unknown", "trace", "kept", "undone"]
    lines = [f"| model | {' | '.join(columns)} |", "|---|" + "---:|" * len(columns)]
    for row in traced:
        kept = worst_error(row) < LIMIT
        undone = row["labels"] and row["off"] < TOLERANCE
        cells = [row["model"], f"{row['parameters'] / 1e6:.2f}"]
        cells += [str(row[key]) for key in ("groups", "units", "scales", "signs", "unknown")]
        cells += [f"{row['trace']:.1f}", *("yes" if good else "**no**" for good in (kept, undone))]
        lines.append(f"| {' | '.join(cells)} |")
    refused: dict[str, list[str]] = {}
    for row in rows:
        if "refused" in row:
            why = re.sub(r"^the forward pass in the module '[^']*'", "the forward pass", row["refused"])
            refused.setdefault(why.replace("|", "/"), []).append(row["model"])
    table = [f"| {why} | {', '.join(names)} |" for why, names in refused.items()]
    missing = sorted(set(wanted) - {row["model"] for row in rows})
    parts = [
        OTHERS.format(title=zoo, what=WHAT[zoo], versions=versions(ZOOS[zoo].made_by), **limits),
        f"Of {len(wanted)} models {len(traced)} are traced; {sum(map(is_good, traced))} keep their function and are "
        f"recovered, {sum(not row['unknown'] for row in traced)} have no axis that is not understood."
        + (f" Not done yet: {listed(missing, most=12)}." if missing else ""),
        "\n".join(lines),
        *(["\n".join(["| refused, as | models |", "|---|---|", *table])] if refused else []),
        *(f"`{row['model']}`: {NOTES[row['model']]}." for row in traced if row["model"] in NOTES),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def write_page(zoo: str, text: str) -> None:
    """Put a zoo's section in its place on the page, and leave the others as they are."""
    page = TABLE.read_text() if TABLE.exists() else ""
    sections = {part.split("\n", 1)[0]: part for part in re.split(r"^# Models of ", page, flags=re.M)[1:]}
    sections[zoo] = text.removeprefix("# Models of ")
    TABLE.write_text("\n".join(f"# Models of {sections[name].strip()}\n" for name in ZOOS if name in sections))


def read_cache(zoo: str) -> dict[str, dict[str, Any]]:
    """Return the rows of a zoo made so far, by model, the last one of each; none that other limits have refused."""
    lines = CACHE.read_text().splitlines() if CACHE.exists() else []
    rows = {row["model"]: row for row in map(json.loads, lines) if row.get("zoo", "torchvision") == zoo}
    return {name: now for name, row in rows.items() if (now := _now(row)) is not None}


def _now(row: dict[str, Any]) -> dict[str, Any] | None:
    """Return a row as the limits of now have it; None if what others refused is to be tried again."""
    refused = row.get("refused", "")
    if refused.startswith("larger than"):
        return row | {"refused": TOO_LARGE} if row["parameters"] > PARAMETERS else None
    return None if refused.startswith("took more than") and not refused.startswith(TOO_SLOW) else row


def made(zoo: str, name: str) -> dict[str, Any]:
    """Return the row of a model, made within limits in a process of its own: a fork, as imports take long."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        if zoo != "torchvision":
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        try:
            made_row = examine(zoo, name)
        except Exception as cause:  # code of others: why is the row
            made_row = {"zoo": zoo, "model": name, "refused": one_line(cause, 200)}
        os.write(writer, json.dumps(made_row).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        text = stream.read()
    _, status = os.waitpid(child, 0)
    why = f"{TOO_SLOW}, or ended otherwise ({status})"
    row: dict[str, Any] = json.loads(text) if text else {"zoo": zoo, "model": name, "refused": why}
    return row


def main() -> None:
    """Make the rows that are missing, smallest models first, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="models to make again")
    parser.add_argument("--zoo", choices=list(ZOOS), default="torchvision", help="whose models (torchvision)")
    parser.add_argument("--table", action="store_true", help="write the page from the rows there are, and make none")
    parser.add_argument(
        "--operators", action="store_true", help="print the operators that the models of all rows there are reach"
    )
    options = parser.parse_args()
    if options.operators:
        rows = [row for zoo in ZOOS for row in read_cache(zoo).values()]
        print(*sorted({name for row in rows for name in row.get("operators", [])}), sep="\n")
        return
    torch.set_num_threads(1)
    names = ZOOS[options.zoo].names()
    import_torchvision("models")
    import_module(ZOOS[options.zoo].made_by)
    done = read_cache(options.zoo)
    wanted = [] if options.table else options.names or [name for name in names if name not in done]
    for name in wanted:
        row = made(options.zoo, name)
        with CACHE.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row), "" if is_good(row) else "  <<< NOT GOOD", flush=True)
    rows = read_cache(options.zoo)
    if not options.table and not set(names) <= set(rows):
        print(f"{len(set(names) - set(rows))} rows are missing: {TABLE} stays as it is", file=sys.stderr)
        return
    there = [rows[name] for name in sorted(names) if name in rows]
    write_page(options.zoo, (document if options.zoo == "torchvision" else partial(section, options.zoo))(there, names))


if __name__ == "__main__":
    main()
