"""What a check of symmetries says, in words: counts, and where what was missed lives."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from landscape_cli.symmetry.checking.probe import Probe, Vector

if TYPE_CHECKING:
    from landscape_cli.symmetry.checking.completeness import Completeness, Count


def _tensors(probe: Probe, entries: NDArray[np.int64]) -> Iterable[tuple[str, NDArray[np.int64]]]:
    """Yield the tensors that hold some of these entries, and which of theirs they are, flattened."""
    for name, start, end in zip(probe.names, probe.starts, probe.starts[1:], strict=False):
        inside = entries[(entries >= start) & (entries < end)]
        if len(inside):
            yield name, inside - start


def places_in_words(probe: Probe, entries: NDArray[np.int64]) -> str:
    """Return where entries are, as `tensor[axis] 0, 3`, for as many indices as they fill wholly; else the number."""
    return "; ".join(_where(name, probe.shapes[name], inside) for name, inside in _tensors(probe, entries))


def _where(name: str, shape: tuple[int, ...], inside: NDArray[np.int64]) -> str:
    mask = np.zeros(shape, dtype=bool)
    mask.reshape(-1)[inside] = True
    if mask.all():
        return f"{name} all"
    for dim in range(len(shape)):
        others = tuple(axis for axis in range(len(shape)) if axis != dim)
        if (mask.any(axis=others) == mask.all(axis=others)).all():
            indices = np.flatnonzero(mask.all(axis=others))
            shown = ", ".join(map(str, indices[:4])) + (", …" if len(indices) > 4 else "")
            return f"{name}[{dim}] {shown}"
    return f"{name} {len(inside)} of {mask.size} numbers"


def powers_in_words(probe: Probe, row: Vector) -> str:
    """Return what becomes of entries, and at last of all outputs, as a factor x grows."""
    parts = [
        f"x^{power:g}: {places_in_words(probe, np.flatnonzero(np.isclose(row[:-1], power)))}"
        for power in np.unique(np.round(row[:-1][row[:-1] != 0], 6)).tolist()
    ]
    return " | ".join([*parts, *([f"x^{round(float(row[-1]), 6):g}: outputs"] if abs(row[-1]) > 1e-6 else [])])


def completeness_lines(checked: Completeness) -> list[str]:
    """Return what was found of what is there, in one line, and a line for everything else that the user should know."""
    counts = ", ".join(f"{count.found} of {count.there} {count.kind}" for count in checked.counts)
    lines = [f"check: found {counts}"]
    lines += [f"warning: missed ({count.kind}): {example}" for count in checked.counts for example in count.examples]
    for count in checked.counts:
        if count.wrong:
            lines.append(f"warning: {count.wrong} of the {count.kind} found change outputs: please report this")
    if checked.undecided:
        why = ": outputs are NaN or Inf where the numbers of units are equal, which is what tells most apart"
        counted = "1 exchange" if checked.undecided == 1 else f"{checked.undecided} exchanges"
        lines.append(f"warning: {counted} could neither be shown nor ruled out{why if checked.blind else ''}")
    return lines


def completeness_rows(checked: Completeness) -> list[dict[str, Any]]:
    """Return the same as rows beside those of groups: `kind` is "missed", and what it is."""
    return [
        {"kind": f"missed {_one(count)}", "name": "", "units": "", "blocks": "", "axes": example}
        for count in checked.counts
        for example in count.examples
    ]


def _one(count: Count) -> str:
    return count.kind.removesuffix("s")


def completeness_values(checked: Completeness) -> dict[str, Any]:
    """Return what a check says as JSON values."""
    return {
        count.kind: {
            "found": count.found,
            "there": count.there,
            "wrong": count.wrong,
            "missed": list(count.examples),
        }
        for count in checked.counts
    } | {"undecided": checked.undecided, "complete": checked.is_complete}
