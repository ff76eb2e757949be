"""Print the tables of a study as Markdown: python examples/summary.py RESULTS_DIR.

Reads what quickstart.sh and fashion_mnist/run.sh leave behind: the reports of training beside the checkpoints,
flatness.json, distances*.json, paths/A_B_KIND.json.
Needs nothing but Python.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import mean, stdev

from study.readings import PAIRS, SAMPLERS

KINDS = ("linear", "aligned", "geodesic")


def sampler_of(path: str) -> str:
    """Return the sampler that a file name like raw/sgd-1.st begins with."""
    return Path(path).name.split("-")[0]


def spread(values: list[float], digits: int = 4) -> str:
    """Return mean and, of several values, deviation."""
    if not values:
        return "-"
    text = f"{mean(values):.{digits}f}"
    return text if len(values) == 1 else f"{text} ± {stdev(values):.{digits}f}"


def table(title: str, head: list[str], rows: list[list[str]]) -> None:
    """Print a Markdown table with aligned columns."""
    widths = [max(len(row[k]) for row in [head, *rows]) for k in range(len(head))]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [head, *rows]]
    rule = " | ".join("-" * width for width in widths)
    print(f"\n### {title}\n")
    print("\n".join(f"| {line} |" for line in [lines[0], rule, *lines[1:]]))


def flatness(folder: Path) -> None:
    """Print test errors and local energies, sampler by sampler."""
    networks = json.loads((folder / "flatness.json").read_text())["networks"]
    sigmas = [level["sigma"] for level in networks[0]["local_energy"]]
    rows = []
    for sampler in SAMPLERS:
        own = [network for network in networks if sampler_of(network["network"]) == sampler]
        reports = [json.loads((folder / network["network"]).with_suffix(".json").read_text()) for network in own]
        cells = [spread([report[f"{split}_error"] for report in reports]) for split in ("train", "test")]
        for k in range(len(sigmas)):
            cells.append(spread([network["local_energy"][k]["train_energy"] for network in own]))
        rows.append([sampler.upper(), *cells])
    table(
        "Errors and local energy δE(σ): flatter above sharper",
        ["sampler", "train error", "test error", *(f"σ = {sigma:g}" for sigma in sigmas)],
        rows,
    )


def barriers(folder: Path) -> None:
    """Print the largest train error along each kind of path, pair by pair of samplers."""
    rows = []
    for pair in PAIRS:
        cells = []
        for kind in KINDS:
            found = []
            for path in sorted((folder / "paths").glob(f"*_{kind}.json")):
                a, b, _ = path.stem.split("_")
                if {sampler_of(a), sampler_of(b)} == set(pair) and (sampler_of(a) == sampler_of(b)) == (
                    len(set(pair)) == 1
                ):
                    found.append(json.loads(path.read_text())["barrier"]["train"]["max"])
            cells.append(spread(found))
        rows.append([f"{pair[0].upper()} – {pair[1].upper()}", *cells])
    table(
        "Barriers: the largest train error along the path",
        ["pair", "linear, as trained", "linear, aligned", "geodesic, normalised and aligned"],
        rows,
    )


def distances(folder: Path) -> None:
    """Print distances between normalised networks aligned to the first of each pair."""
    known: dict[tuple[str, str], list[dict[str, float]]] = {pair: [] for pair in PAIRS}
    seen = set()
    for path in sorted(folder.glob("distances*.json")):
        result = json.loads(path.read_text())
        for pair in result["pairs"]:
            # only pairs aligned to each other: the first is the reference of the file
            if pair["a"] != result["networks"][0]:
                continue
            names = sampler_of(pair["a"]), sampler_of(pair["b"])
            key = Path(pair["a"]).stem, Path(pair["b"]).stem
            if key not in seen and (names in known or names[::-1] in known):
                seen.add(key)
                known[names if names in known else names[::-1]].append(pair)
    rows = [
        [
            f"{a.upper()} – {b.upper()}",
            spread([pair["geodesic"] for pair in found], 2),
            spread([pair["rms_angle"] for pair in found], 3),
            spread([pair["test_disagreement"] for pair in found]),
        ]
        for (a, b), found in known.items()
    ]
    table(
        "Distances, normalised and aligned",
        ["pair", "geodesic", "root-mean-square angle (rad)", "test predictions that differ"],
        rows,
    )


def main() -> None:
    """Print every table."""
    if len(sys.argv) != 2 or not (Path(sys.argv[1]) / "flatness.json").exists():
        sys.exit("usage: python examples/summary.py RESULTS_DIR   (a folder with flatness.json)")
    folder = Path(sys.argv[1])
    flatness(folder)
    barriers(folder)
    distances(folder)


if __name__ == "__main__":
    main()
