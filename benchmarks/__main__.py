"""All that is measured in ratios, as one table: python -m benchmarks [NAME …] [--repeats 3] [--json]."""

from __future__ import annotations

import argparse
from importlib import import_module

import torch

from benchmarks.table import show

NAMES = ("evaluate", "align", "train", "distance", "startup", "memory", "growth")
"""Modules of this folder with a function `rows(repeats)` that yields `Row`s."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"by default all of {', '.join(NAMES)}")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="a JSON object for each row")
    options = parser.parse_args()
    unknown = set(options.names) - set(NAMES)
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}: choose {', '.join(NAMES)}")
    torch.set_num_threads(1)
    for name in options.names or NAMES:
        show(import_module(f"benchmarks.{name}").rows(options.repeats), as_json=options.json)


if __name__ == "__main__":
    main()
