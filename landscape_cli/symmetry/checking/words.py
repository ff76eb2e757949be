"""What a check of symmetries says, in words: counts, and where what was missed lives."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from landscape_cli.errors import listed
from landscape_cli.symmetry.checking.probe import Probe, Vector

if TYPE_CHECKING:
    from landscape_cli.symmetry.checking.completeness import Completeness, Count

PIECES = 3
"""Of how many pieces places may be put together to be named by them."""


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
    pieces = _pieces(mask)
    if len(pieces) <= PIECES:
        return " and ".join(f"{name}[{piece}]" for piece in pieces)
    return f"{name} {len(inside)} of {mask.size} numbers"


def _pieces(mask: NDArray[np.bool_]) -> list[str]:
    """Return products of indices that places are put together of, as `0, :, {1, 2}`: along the axis with the fewest."""
    best: list[str] | None = None
    for dim in range(mask.ndim):
        slices = np.moveaxis(mask, dim, 0).reshape(mask.shape[dim], -1)
        kinds, which = np.unique(slices, axis=0, return_inverse=True)
        rows = [np.flatnonzero(which.ravel() == k) for k in np.flatnonzero(kinds.any(axis=1))]
        parts = [np.zeros_like(mask) for _ in rows]
        for part, indices in zip(parts, rows, strict=True):
            np.moveaxis(part, dim, 0)[indices] = np.moveaxis(mask, dim, 0)[indices]
        pieces = [_product(part) for part in parts]
        if best is None or len(pieces) < len(best):
            best = [piece for piece in pieces if piece] if all(pieces) else best
    return best if best is not None else [""] * (PIECES + 1)


def _product(mask: NDArray[np.bool_]) -> str:
    """Return places as one set of indices for each axis; nothing if they are none."""
    sides = [mask.any(axis=tuple(axis for axis in range(mask.ndim) if axis != dim)) for dim in range(mask.ndim)]
    if int(mask.sum()) != math.prod(int(side.sum()) for side in sides):
        return ""
    return ", ".join(
        _indices(np.flatnonzero(side).tolist(), size) for side, size in zip(sides, mask.shape, strict=True)
    )


def _indices(indices: list[int], size: int) -> str:
    if len(indices) == size:
        return ":"
    shown = ", ".join(map(str, indices[:4])) + (", …" if len(indices) > 4 else "")
    return shown if len(indices) == 1 else f"{{{shown}}}"


def pair_in_words(probe: Probe, pair: tuple[int, int] | None) -> str:
    """Return two entries of one tensor, as `tensor[0, 1] with [0, 2]`; nothing of none."""
    if pair is None:
        return ""
    (name, [first]), (_, [second]) = (next(iter(_tensors(probe, np.array([entry])))) for entry in pair)
    here, there = (", ".join(map(str, np.unravel_index(k, probe.shapes[name]))) for k in (first, second))
    return f"{name}[{here}] with [{there}]"


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
        number, named = len(checked.undecided), [pair for pair in checked.undecided if pair]
        counted = ("1 exchange" if number == 1 else f"{number} exchanges") + (f" ({listed(named)})" if named else "")
        lines.append(f"warning: {counted} could neither be shown nor ruled out{why if checked.blind else ''}")
    if checked.unseen:
        lines.append(
            f"warning: {listed(checked.unseen)}: what changes outputs in steps alone, as by what is nearest, has no "
            "gradient that tells of scales and exchanges besides those found, which were checked"
        )
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
    } | {
        "undecided": len(checked.undecided),
        "undecided_exchanges": [pair for pair in checked.undecided if pair],
        "unseen": list(checked.unseen),
        "complete": checked.is_complete,
    }
