"""Print the tables of the alignment study as Markdown: python examples/alignment_summary.py RESULTS_DIR.

Reads what alignment/run.sh leaves behind: the reports of training in raw/ and paths/NETWORK_LABELS_STATISTICS.json.
Needs nothing but Python.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from summary import table

NETWORKS = {
    "lenet": "LeNet",
    "resnet": "ResNet",
}
PATHS = {
    "raw": "linear, as trained",
    "cosine": "linear, `--method cosine`",
    "weight": "linear, `--method weight`",
    "activation": "linear, `--method activation`",
    "geodesic": "geodesic, normalised, `--method cosine`",
}
STATISTICS = ("keep", "recompute")
SPLITS = ("train", "test")


def errors(folder: Path) -> None:
    """Print the errors of every network, as trained."""
    rows = []
    for name, words in NETWORKS.items():
        reports = [json.loads((folder / f"raw/{name}-{seed}.json").read_text()) for seed in (1, 2)]
        rows.append([words, *(", ".join(f"{report[f'{split}_error']:.4f}" for report in reports) for split in SPLITS)])
    table("Errors of the two networks", ["network", "train error", "test error"], rows)


def barriers(folder: Path) -> None:
    """Print the largest errors along each path, with the statistics of batch-norm kept and, where done, recomputed."""
    rows = []
    for name, words in NETWORKS.items():
        for labels, path in PATHS.items():
            cells = []
            for statistics in STATISTICS:
                found = folder / f"paths/{name}_{labels}_{statistics}.json"
                barrier = json.loads(found.read_text())["barrier"] if found.exists() else None
                cells += [f"{barrier[split]['max']:.4f}" if barrier else "-" for split in SPLITS]
            rows.append([words, path, *cells])
    head = [f"{split}, `--bn {statistics}`" for statistics in STATISTICS for split in SPLITS]
    table("Barriers: the largest error along the path", ["pair", "path", *head], rows)


def main() -> None:
    """Print every table."""
    if len(sys.argv) != 2 or not (Path(sys.argv[1]) / "paths").is_dir():
        sys.exit("usage: python examples/alignment_summary.py RESULTS_DIR   (a folder with paths/ and raw/)")
    folder = Path(sys.argv[1])
    errors(folder)
    barriers(folder)


if __name__ == "__main__":
    main()
