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

RUNS = 6
"""How many ranges of indices are named."""
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
            return f"{name}[{dim}] {_ranges(np.flatnonzero(mask.all(axis=others)).tolist())}"
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
    shown = _ranges(indices)
    return f"{{{shown}}}" if "," in shown else shown


def _ranges(indices: list[int]) -> str:
    """Return indices in words: `0-3, 8`, those of three and more in a row, up or down, as a range."""
    runs: list[list[int]] = []
    for index in indices:
        last = runs[-1] if runs else [index]
        step = index - last[-1]
        if step in (-1, 1) and step == (last[1] - last[0] if len(last) > 1 else step):
            last.append(index)
        else:
            runs.append([index])
    shown = [
        f"{run[0]}-{run[-1]}" if len(run) > 2 else ", ".join(map(str, run))  # as short as can be
        for run in runs[:RUNS]
    ]
    return ", ".join([*shown, *([f"… ({len(indices)} in all)"] if len(runs) > RUNS else [])])


def more_in_words(example: str, count: int) -> str:
    """Return an example of so many."""
    return example if count == 1 else f"{example} (and {count - 1} more like it)"


def move_in_words(probe: Probe, move: NDArray[np.int64]) -> str:
    """Return what trades places with what, as `tensor[0, 1 <-> 2, :]`, tensor by tensor, or two of these."""
    moved = np.flatnonzero(move != np.arange(len(move)))
    parts: dict[str, None] = {}
    for name, inside in _tensors(probe, moved):
        start = int(probe.starts[probe.names.index(name)])
        sources = move[inside + start]
        there = _tensors(probe, np.sort(sources))
        if [other for other, _ in there] == [name]:
            parts[_exchanged(name, probe.shapes[name], inside, sources - start)] = None
        else:
            sides = [_where(other, probe.shapes[other], at) for other, at in ((name, inside), *there)]
            parts[" <-> ".join(sorted(sides))] = None
    return "; ".join(parts)


def _exchanged(name: str, shape: tuple[int, ...], inside: NDArray[np.int64], sources: NDArray[np.int64]) -> str:
    """Return which indices of a tensor trade places: of one axis, within as many of the others as take part."""
    here, there = (np.stack(np.unravel_index(entries, shape)) for entries in (inside, sources))
    kinds, which = np.unique(here != there, axis=1, return_inverse=True)
    pieces = [
        _along(name, shape, here[:, which.ravel() == k], there[:, which.ravel() == k]) for k in range(kinds.shape[1])
    ]
    if all(pieces):
        return "; ".join(pieces)
    return f"{_where(name, shape, inside)} among each other"


def _along(name: str, shape: tuple[int, ...], here: NDArray[np.int64], there: NDArray[np.int64]) -> str:
    """Return the same of entries, as indices of shape (axes, entries), that differ along one axis; else nothing."""
    differing = np.flatnonzero((here != there).any(axis=1)).tolist()
    if len(differing) != 1:
        return ""
    dim: int = differing[0]
    pairs = sorted({(i, j) for i, j in zip(here[dim].tolist(), there[dim].tolist(), strict=True)})
    others = [np.unique(row).tolist() for axis, row in enumerate(here) if axis != dim]
    if here.shape[1] != len(pairs) * math.prod(map(len, others)) or not all((j, i) in pairs for i, j in pairs):
        return ""
    first = [(i, j) for i, j in pairs if i < j]
    sizes = [size for axis, size in enumerate(shape) if axis != dim]
    words = [_indices(indices, size) for indices, size in zip(others, sizes, strict=True)]
    words.insert(dim, " <-> ".join(_ranges(list(side)) for side in zip(*first, strict=True)))
    return f"{name}[{', '.join(words)}]"


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
        why = (
            "outputs are NaN or Inf where the numbers of units are equal, which is what tells most apart"
            if checked.blind
            else "no gradient tells them apart where units have equal numbers, and of what was tried nothing exchanges "
            "them and keeps outputs"
        )
        number, named = len(checked.undecided), [pair for pair in checked.undecided if pair]
        counted = ("1 exchange" if number == 1 else f"{number} exchanges") + (f" ({listed(named)})" if named else "")
        lines.append(f"warning: {counted} could neither be shown nor ruled out: {why}")
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
