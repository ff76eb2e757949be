"""Finding 7: training in random affine subspaces (docs/method.md: Subspaces)."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass
from pathlib import Path

from study.claims import Finding, spread
from study.page import table
from study.verdicts import Comparison, Values, below, smaller

from wedges.readings import average, column_of, networks_in, within

FILE = re.compile(r"w(.+)d(\d+)\.json")
PART = 0.9
"""Of the full space's test accuracy, which d90 reaches."""
FRACTION = 0.05
"""Of all weights, which d90 is below."""
FACTOR = 2.0
"""By how much log2 d90 of two widths may differ."""
GROWTH = 4.0
"""By which factor their numbers of weights do differ, at least."""


@dataclass(frozen=True)
class Curve:
    """Networks of one width, trained in subspaces and in full.

    Attributes:
        width: its name.
        weights: how many there are.
        full: by split, the error of each network trained in full.
        errors: by dimension, in increasing order, and by split, of each network trained in a subspace.
    """

    width: str
    weights: int
    full: dict[str, Values]
    errors: dict[int, dict[str, Values]]

    @property
    def target(self) -> float:
        """The test error at PART of the accuracy of full training."""
        return 1 - PART * (1 - average(self.full["test"]))

    @property
    def d90(self) -> Values:
        """The dimension at which each seed's test error comes down to the target, between dimensions by log d."""
        seeds = {key[0].rsplit("-", 1)[1] for key in next(iter(self.errors.values()))["test"]}
        return {(f"w{self.width}-{seed}",): self._reaches(seed) for seed in sorted(seeds, key=int)}

    @property
    def unreached(self) -> list[str]:
        """The seeds that do not come down to it on the grid; what full training needs is counted for them."""
        return [key[0] for key, dim in self.d90.items() if dim == self.weights]

    def _reaches(self, seed: str) -> float:
        before: tuple[float, float] | None = None
        for dim, errors in self.errors.items():
            error = errors["test"][(f"w{self.width}d{dim}-{seed}",)]
            if error <= self.target:
                if before is None:
                    return float(dim)
                start, height = before
                return math.exp(start + (math.log(dim) - start) * (height - self.target) / (height - error))
            before = math.log(dim), error
        return float(self.weights)


def read_curves(folder: Path) -> list[Curve]:
    """Return what was trained in subspaces, a curve for each width, by the number of weights."""
    files: dict[str, dict[int, Path]] = {}
    for file in folder.glob("w*d*.json"):
        if match := FILE.fullmatch(file.name):
            files.setdefault(match[1], {})[int(match[2])] = file
    curves = []
    for width, by_dim in files.items():
        networks = {dim: networks_in(by_dim[dim]) for dim in sorted(by_dim)}
        first = next(iter(networks[min(networks)].values()))
        full = networks_in(folder / f"w{width}full.json")
        curves.append(
            Curve(
                width=width,
                weights=first["subspace"]["of"],
                full={split: column_of(full, f"{split}_error") for split in ("train", "test")},
                errors={
                    dim: {split: column_of(own, f"{split}_error") for split in ("train", "test")}
                    for dim, own in networks.items()
                },
            )
        )
    return sorted(curves, key=lambda curve: curve.weights)


def few_dimensions_do(curves: list[Curve]) -> Finding:
    """Finding 7: the error falls with d, d90 is a small part of D, and hardly changes with D.

    Raises:
        ValueError: if the numbers of weights do not differ enough for the last part.
    """
    numbers, comparisons = [], []
    for curve in curves:
        said = ", ".join(f"{dim}: {spread(errors['test'])}" for dim, errors in curve.errors.items())
        numbers.append(f"width {curve.width}, D = {curve.weights}: {said}; in full {spread(curve.full['test'])}")
        numbers.append(f"width {curve.width}: d90 = {spread(curve.d90, 0)}, of D {spread(fractions(curve), 5)}")
        comparisons += falls(curve)
        comparisons.append(below(f"d90/D, width {curve.width} < {FRACTION:g}", fractions(curve), FRACTION))
    for small, large in itertools.pairwise(curves):
        if large.weights < GROWTH * small.weights:
            raise ValueError(f"widths {small.width} and {large.width} differ by less than {GROWTH:g} in weights")
        samples = [{key: math.log2(dim) for key, dim in curve.d90.items()} for curve in (large, small)]
        comparisons += within(f"log2 d90, width {large.width} less {small.width}", samples, FACTOR)
    claim = "few random directions are enough, about as many at any width [paper: what it cites as known]"
    return Finding("7", claim, numbers, comparisons)


def falls(curve: Curve) -> list[Comparison]:
    """Compare the test error at each dimension with the one before, until d90 is reached."""
    comparisons = []
    for low, high in itertools.pairwise(curve.errors):
        samples = (curve.errors[dim]["test"] for dim in (high, low))
        comparisons.append(smaller(f"test error, width {curve.width}: d = {high} < d = {low}", *samples))
        if average(curve.errors[high]["test"]) <= curve.target:
            break
    return comparisons


def fractions(curve: Curve) -> Values:
    """Return d90/D of each seed."""
    return {key: dim / curve.weights for key, dim in curve.d90.items()}


def dimensions(curves: list[Curve]) -> str:
    """Return the table of errors by dimension."""
    rows = []
    for curve in curves:
        for dim, errors in [*curve.errors.items(), (curve.weights, curve.full)]:
            name = "full space" if errors is curve.full else str(dim)
            cells = [f"{dim / curve.weights:.2g}", spread(errors["train"]), spread(errors["test"])]
            rows.append([f"{curve.width} ({curve.weights})", name, *cells])
    return table("### Random subspaces", ["width (D)", "d", "d/D", "train error", "test error"], rows)
