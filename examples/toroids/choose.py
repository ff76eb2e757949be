"""What tuning found: python examples/toroids/choose.py FOLDER WHAT [FILE].

FOLDER is that of a study. WHAT is a row (sgd, rsgd, adv, sgd-small), whose options are printed, of tuning/chosen.json
where that is there; first, the rate at which ADV learns random labels; tenth, a tenth of RSGD's automatic γ; or record,
all that was tried and what was chosen, written to FILE.
"""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from study.age import last_lines

SOLVED = 0.001
"""The training error up to which a network is a solution (protocol.md)."""
LEARNT = 1e-4
"""The error at which random labels are learnt: `landscape train` stops there."""
ROWS = ("rsgd", "sgd", "adv", "sgd-small")


@dataclass(frozen=True)
class Trial:
    """One setting of a row, by its means over seeds.

    Attributes:
        name: of its files.
        train: training error.
        validation: error on what was held out.
    """

    name: str
    train: float
    validation: float

    @property
    def rank(self) -> tuple[float, float]:
        """What the best has the least of: the validation error of solutions, before the training error of others."""
        return (0.0, self.validation) if self.train <= SOLVED else (1.0, self.train)


def trials(folder: Path, row: str) -> list[Trial]:
    """Return the settings of a row that were tried; `first` are not among those of ADV."""
    found = []
    for file in sorted((folder / "tuning").glob(f"{row}-[0-9]*.json")):
        if not file.stat().st_size:
            continue  # it diverged
        report = json.loads(file.read_text())
        networks = report.get("networks", [report])  # one alone has no list
        errors = [fmean(network[f"{split}_error"] for network in networks) for split in ("train", "test")]
        found.append(Trial(file.stem, *errors))
    return found


def best(folder: Path, row: str) -> Trial:
    """Return the setting that the protocol takes.

    Raises:
        SystemExit: if none was tried.
    """
    tried = trials(folder, row)
    if not tried:
        raise SystemExit(f"{folder}: no setting of {row} was tried: run tune.sh first")
    return min(tried, key=lambda trial: trial.rank)


def options(folder: Path, row: str) -> str:
    """Return a row's options for `landscape train`: those of the record, where there is one.

    Raises:
        SystemExit: if the record does not have the row, or none was tried.
    """
    file = folder / "tuning" / "chosen.json"
    if not file.exists():
        return found(folder, row)
    rows = json.loads(file.read_text())["rows"]
    if row not in rows:
        raise SystemExit(f"{file}: no setting of {row}: remove the file and run tune.sh again")
    return str(rows[row]["chosen"])


def found(folder: Path, row: str) -> str:
    """Return a row's options as the trials have them."""
    chosen = best(folder, row)
    rate = chosen.name.removeprefix(f"{row}-").removesuffix("-tenth")
    more = f" {first(folder)}" if row == "adv" else f" {tenth(folder)}" if chosen.name.endswith("-tenth") else ""
    return f"--lr {rate}{more}"


def learnt(file: Path) -> tuple[float, float]:
    """Return how badly random labels were learnt, and after how many epochs: means over seeds."""
    last = last_lines(file, "adversarial")
    return fmean(float(line["solution_error"]) for line in last), fmean(float(line["epoch"]) for line in last)


def first(folder: Path) -> str:
    """Return the rate of ADV's first phase: that which learns random labels in the fewest epochs, or else the best.

    Raises:
        SystemExit: if none was tried.
    """
    tried = sorted((folder / "tuning").glob("first-*.csv"))
    if not tried:
        raise SystemExit(f"{folder}: no rate for random labels was tried: run tune.sh first")

    def rank(file: Path) -> tuple[float, float]:
        error, epochs = learnt(file)
        return (0.0, epochs) if error <= LEARNT else (1.0, error)

    return f"--adv-lr {min(tried, key=rank).stem.removeprefix('first-')}"


def tenth(folder: Path) -> str:
    """Return a tenth of RSGD's automatic γ, the mean over seeds: it depends on initial networks alone."""
    file = min((folder / "tuning").glob("rsgd-*[0-9].csv"))
    with file.open() as lines:
        values = [float(line["gamma"]) for line in csv.DictReader(lines) if line["epoch"] == "1"]
    return f"--gamma-init {0.1 * fmean(values):.4g}"


def record(folder: Path) -> str:
    """Return all that was tried, and what was chosen, as JSON."""
    rows = {
        row: {
            "chosen": found(folder, row),
            "tried": {t.name: {"train_error": t.train, "validation_error": t.validation} for t in trials(folder, row)},
        }
        for row in ROWS
        if trials(folder, row)
    }
    phases = {
        file.stem: dict(zip(("error", "epochs"), learnt(file), strict=True))
        for file in sorted((folder / "tuning").glob("first-*.csv"))
    }
    return json.dumps({"rows": rows, "random_labels": phases}, indent=1) + "\n"


def main() -> None:
    """Print or write what is asked for."""
    folder, what = Path(sys.argv[1]), sys.argv[2]
    if what == "record":
        Path(sys.argv[3]).write_text(record(folder))
    elif what in ROWS:
        print(options(folder, what))
    else:
        print({"first": first, "tenth": tenth}[what](folder))


if __name__ == "__main__":
    main()
