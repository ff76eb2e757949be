"""For how long ADV trained, in both phases: python examples/study/age.py raw/adv.csv prints epochs.

The mean over networks, rounded up: what a control that is as old trains for.
"""

from __future__ import annotations

import csv
import math
import sys
from pathlib import Path
from statistics import fmean


def last_lines(log: Path, phase: str) -> list[dict[str, str]]:
    """Return the last line of a phase in a log, of each network."""
    with log.open() as lines:
        return list({line["seed"]: line for line in csv.DictReader(lines) if line["phase"] == phase}.values())


def age(log: Path) -> int:
    """Return how many epochs ADV trained, by its log."""
    phases = (last_lines(log, phase) for phase in ("adversarial", "train"))
    return math.ceil(sum(fmean(int(line["epoch"]) for line in lines) for lines in phases))


if __name__ == "__main__":
    print(age(Path(sys.argv[1])))
