"""Many cases, one after another, in processes forked from one that has imported everything."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

from landscape_cli.cli.app import COMMANDS
from tests.fuzz.cases import draw
from tests.fuzz.commands import options_of
from tests.fuzz.corpus import command, make
from tests.fuzz.running import Case, Ended, Runner


class Campaign:
    """Cases of one seed."""

    def __init__(self, folder: Path, seed: int) -> None:
        """Make the corpus in a folder, and import what commands import."""
        (folder / "corpus").mkdir()
        (folder / "cases").mkdir()
        self.seed, self.corpus = seed, make(folder / "corpus")
        names = {"a": str(folder / "corpus" / "a.st"), "n": str(folder / "corpus" / "n.st")}
        command("path", names["n"], names["n"], "--kind", "geodesic", "--points", "2", "--align", "cosine", "--loss")
        command("flatness", names["a"], "--samples", "1")
        command("flatness", names["a"], "--samples", "1", "--kind", "radial")
        command("distance", names["a"], names["a"])
        command("plane", names["a"], "--third", "random", "--grid", "2")
        for name in COMMANDS:
            options_of(name)  # builds it
        self._runner = Runner(folder / "cases", self.corpus)
        gc.freeze()  # what children never collect stays shared with them

    def run(self, first: int, count: int) -> Iterator[tuple[int, Case, Ended]]:
        """Yield cases by their numbers, and how they ended."""
        for number in range(first, first + count):
            case = draw(self.corpus, self.seed, number)
            yield number, case, self._runner.run(case)

    def close(self) -> None:
        """End the process that runs cases."""
        self._runner.close()
