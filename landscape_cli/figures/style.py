"""How what is drawn looks: a color, marker and line style for each kind, and names short enough for a legend."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from landscape_cli.choices import Algorithm
from landscape_cli.errors import cut_middle, escaped

BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY, BLACK = (
    *("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000"),
)
"""The palette of Okabe and Ito (2008), which the color-blind tell apart, without its yellow: that is faint on white."""
FAINT = "#8C8C8C"
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
LINES = ("-", "--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)), (0, (7, 2)), (0, (3, 1)))
SAMPLER_COLORS = (BLUE, ORANGE, VERMILLION, GREEN, PURPLE, SKY, BLACK)
SPLITS: Mapping[str, Mapping[str, Any]] = {
    "train": {"color": BLACK, "marker": "o", "linestyle": "-"},
    "test": {"color": FAINT, "marker": "s", "linestyle": "--"},
}
"""Both sets of data, which are no kinds."""
ACCENT = VERMILLION
"""Of what is pointed at."""
LONGEST = 26
"""Characters of a name in a legend."""


def _style(number: int) -> dict[str, Any]:
    return {
        "color": SAMPLER_COLORS[number % len(SAMPLER_COLORS)],
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": LINES[number % len(LINES)],
    }


SAMPLERS = {algorithm.value: _style(number) for number, algorithm in enumerate(Algorithm)}
"""The style of each sampler, the same in every picture."""


def kind_of(name: str) -> str:
    """Return the kind of a network by its file's name: its sampler if the name, or a folder's, has one; else the name.

    A pattern that names a family is of the same kind as its files.
    """
    for part in reversed(re.split(r"[/\\]", name)):
        for word in re.split(r"[^A-Za-z]+", part.lower()):
            if word in SAMPLERS:
                return word
    return name


def styles_of(kinds: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the style of each of several kinds: samplers have their own, others in turn those that are free."""
    kinds = list(dict.fromkeys(kinds))
    taken = [list(SAMPLERS).index(kind) for kind in kinds if kind in SAMPLERS]
    free = [number for number in range(len(SAMPLER_COLORS)) if number not in taken]
    order = free + [number for number in range(max(len(kinds), 1)) if number not in free]
    others = iter(order * (len(kinds) // max(len(order), 1) + 1))
    return {kind: dict(SAMPLERS[kind]) if kind in SAMPLERS else _style(next(others)) for kind in kinds}


def within_kind(style: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Return the style of the k-th network of a kind: its color, another line, and a marker that is empty inside."""
    if not number:
        return dict(style)
    line = LINES[(LINES.index(style["linestyle"]) + number) % len(LINES)]
    return {**style, "linestyle": line, "markerfacecolor": "white"}


def short_labels(names: Sequence[str], longest: int = LONGEST) -> list[str]:
    """Return what differs between names: without the folders and the suffix that all have, cut in the middle.

    Two names that differ stay different.
    """
    names = [escaped(name) for name in names]
    distinct = list(dict.fromkeys(names))
    folder = os.path.commonpath(distinct) + "/" if len(distinct) > 1 and _is_relative_alike(distinct) else ""
    bare = [name.removeprefix(folder) if len(distinct) > 1 else name.split("/")[-1] for name in distinct]
    suffixes = {os.path.splitext(name)[1] for name in bare}
    if len(suffixes) == 1 and len({os.path.splitext(name)[0] for name in bare}) == len(bare):
        bare = [os.path.splitext(name)[0] for name in bare]
    for width in (longest, 2 * longest, 4 * longest):
        cut = [cut_middle(name, width) for name in bare]
        if len(set(cut)) == len(cut):
            bare = cut
            break
    label = dict(zip(distinct, bare, strict=True))
    return [label[name] for name in names]


def _is_relative_alike(names: Sequence[str]) -> bool:
    """Tell whether names lie in one folder that can be left out."""
    return len({os.path.isabs(name) for name in names}) == 1 and bool(os.path.commonpath(names))
