"""What every benchmark gives: rows of ratios between ways to do the same, timed in turn in one process."""

from __future__ import annotations

import json
import resource
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

OURS = "ours"


@dataclass(frozen=True)
class Row:
    """Ways to do one piece of work, ours among them.

    Attributes:
        work: what is done.
        size: on what.
        seconds: by way, process CPU time of each repeat; those of one repeat follow one another.
        facts: what else was measured, by name.
    """

    work: str
    size: str
    seconds: Mapping[str, list[float]]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def ratios(self, way: str) -> list[float]:
        """Return how many times as long as ours a way takes, repeat by repeat, from the least."""
        return sorted(theirs / ours for theirs, ours in zip(self.seconds[way], self.seconds[OURS], strict=True))

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        ratios = {
            way: {"median": median(found), "least": found[0], "most": found[-1]}
            for way, found in ((way, self.ratios(way)) for way in self.seconds if way != OURS)
        }
        return {
            "work": self.work,
            "size": self.size,
            "seconds": median(self.seconds[OURS]),
            "times_ours": ratios,
            **self.facts,
        }


def cpu_seconds() -> float:
    """Return CPU seconds of this process and of its children that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


def interleaved(
    ways: Mapping[str, Callable[[], Any]], repeats: int, clock: Callable[[], float] = cpu_seconds
) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Do the same in each way, in turn; return the times that this takes, and what each returned the last time."""
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    results: dict[str, Any] = {}
    for _ in range(repeats):
        for way, work in ways.items():
            start = clock()
            results[way] = work()
            seconds[way].append(clock() - start)
    return seconds, results


def child(command: Sequence[str]) -> None:
    """Run a command, whose output does not matter, in a process of its own.

    Raises:
        RuntimeError: if it fails.
    """
    ran = subprocess.run(command, check=False, capture_output=True, text=True)
    if ran.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {ran.returncode}: {ran.stderr.strip()[-500:]}")


def show(rows: Iterable[Row], *, as_json: bool) -> None:
    """Print rows as they come: JSON, one object a line, or a table of medians with the least and the most."""
    for row in rows:
        values = row.to_dict()
        if as_json:
            print(json.dumps(values), flush=True)
            continue
        times = "  ".join(
            f"{way} ÷ ours {of['median']:.2f} ({of['least']:.2f}-{of['most']:.2f})"
            for way, of in values["times_ours"].items()
        )
        facts = "  ".join(f"{name} {value}" for name, value in row.facts.items())
        print(f"{row.work:22} {row.size:26} {values['seconds']:8.2f} s  {times}  {facts}", flush=True)
