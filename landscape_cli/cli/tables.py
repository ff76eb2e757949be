"""Tables of results on a terminal: no figure is cut, names are cut in the middle and stay apart."""

from __future__ import annotations

import math
import re
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from landscape_cli.cli.sketch import is_plain
from landscape_cli.errors import cut_middle, shown

if TYPE_CHECKING:
    from landscape_cli.io.results import Result

FIGURE = re.compile(r"-$|(× )?[-+]?[0-9.]+(e[-+][0-9]+)?( ±|°?$)")
"""What text in a table is a number, a mean ± its deviation, an angle or a factor."""
IN_ASCII = str.maketrans({"±": "+-", "τ": "tau", "σ": "sigma", "°": " deg", "×": "x"})
"""What stands for signs in headers and figures where there are letters of ASCII alone."""
NAME_WIDTH = 14
"""Characters of a name that are kept at least in each of several tables."""
LEAST_TEXT = 8
"""The same where all is in one table."""
LISTS = {"families", "of"}
"""Columns whose cells are several names: lines may end between them."""
NOISE = 1e-9
"""Cosines that are nearer to zero are rounding."""


class Spread(str):
    """A mean ± its deviation, as text; those of one column share their digits."""

    mean: float
    deviation: float

    def __new__(cls, mean: float, deviation: float = math.nan) -> Spread:
        """Return it with the digits that it has alone."""
        text = "-" if math.isnan(mean) else f"{mean:.4g}" + _deviation(deviation, ".2g")
        self = super().__new__(cls, text)
        self.mean, self.deviation = mean, deviation
        return self


def _deviation(deviation: float, form: str) -> str:
    return "" if math.isnan(deviation) else f" ± {deviation:{form}}"


def print_table(result: Result, names: Sequence[str] = (), *, keys: Sequence[str] = ()) -> None:
    """Print the rows of a result as a table, or as several below each other where its figures do not fit side by side.

    No figure is cut. Names of files are, in the middle, as long as they still differ; else they fold.

    Args:
        result: what to print the rows of.
        names: columns that are names of files, and headed by them as they are.
        keys: columns that say what a row is of, which each of several tables has; by default those with text.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    heads = dict(zip(names, cut_apart([shown(name) for name in names], NAME_WIDTH), strict=True))
    columns = [_Column.of(column, result.rows, heads, column in keys) for column in _columns_of(result.rows)]
    width = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 400).width
    for part, folded in _side_by_side(columns, width):
        table = Table(box=box.ASCII if is_plain() else box.HEAVY_HEAD)
        part = _cut_names(part, width, folded)
        for column in part:
            header = column.folded if folded else column.header
            justify = "right" if column.is_number else "left"
            table.add_column(header, justify=justify, no_wrap=not column.folds, overflow="fold")  # type: ignore[arg-type] # a str
        for row in zip(*(column.cells for column in part), strict=True):
            table.add_row(*row)
        wide = max(width, _least_width(part))
        Console(file=sys.stdout, width=wide, markup=False, emoji=False, highlight=False).print(table)


@dataclass(frozen=True)
class _Column:
    """A column of a table: its header, on one line and on several, and its cells."""

    header: str
    folded: str
    cells: tuple[str, ...]
    is_number: bool
    is_key: bool
    folds: bool

    @classmethod
    def of(cls, name: str, rows: Sequence[Mapping[str, Any]], heads: Mapping[str, str], is_key: bool) -> _Column:
        """Return the column of that name; `heads` are files' short names, `is_key`: it tells rows apart."""
        values = [_without_noise(row.get(name)) if "cosine" in name else row.get(name) for row in rows]
        cells = tuple(map(_shown, values)) if len(values) < 2 else tuple(_alike(values))
        is_number = all(isinstance(value, int | float | None) for value in values)
        folds = any(isinstance(value, str) and not FIGURE.match(value) for value in values)
        header = shown(name if name in heads else name.replace("_", " "))
        if is_plain():
            header = header if name in heads else header.translate(IN_ASCII)
            cells = cells if folds else tuple(cell.translate(IN_ASCII) for cell in cells)
        width = max((*map(len, cells), *map(len, header.split())), default=0)
        folded = header if folds else "\n".join(textwrap.wrap(header, max(width, 1)))
        return cls(header, heads.get(name, folded), cells, is_number, is_key or folds, folds)

    @property
    def width(self) -> int:
        """How wide it is with all on one line."""
        return max(map(len, (self.header, *self.cells)))

    @property
    def least(self) -> int:
        """How wide it has to be: names are cut, figures are not."""
        width = max(map(len, (*self.folded.split("\n"), *self.cells)))
        return min(width, NAME_WIDTH) if self.folds else width

    def cut(self, width: int) -> _Column:
        """Return it with names that are no wider than that, if they can be."""
        words = [cell.split(" ") if self.header in LISTS else [cell] for cell in self.cells]
        each = list(dict.fromkeys(word for some in words for word in some))
        short = dict(zip(each, cut_apart(each, width), strict=True))
        return replace(self, cells=tuple(" ".join(short[word] for word in some) for some in words))


def cut_apart(names: Sequence[str], longest: int) -> list[str]:
    """Return names without what makes them too long: their middle, or what all have in common; as they are if alike."""
    mark = "..." if is_plain() else "…"
    distinct = list(dict.fromkeys(names))
    cut = [cut_middle(name, longest, mark) for name in distinct] if longest > 2 * len(mark) else distinct
    if len(set(cut)) < len(distinct):
        before = _in_common(distinct)
        after = _in_common([name[before:][::-1] for name in distinct])
        room = longest - 2 * len(mark) - max(len(name) - before - after for name in distinct)
        start, end = max(0, before - (room + 1) // 2), max(0, after - room // 2)
        bare = [mark * bool(start) + name[start : len(name) - end] + mark * bool(end) for name in distinct]
        cut = bare if room >= 0 and max(map(len, bare)) <= longest else distinct
    short = dict(zip(distinct, cut, strict=True))
    return [short[name] for name in names]


def _in_common(names: Sequence[str]) -> int:
    """Return how many characters all begin with."""
    letters = enumerate(zip(*names, strict=False))
    return next((k for k, each in letters if len(set(each)) > 1), min(map(len, names)))


def _cut_names(columns: Sequence[_Column], width: int, folded: bool) -> list[_Column]:
    """Return columns whose names fit into what figures leave of a width, each column as much of it as it needs."""
    figures = (column for column in columns if not column.folds)
    room = width - _frame(len(columns)) - sum(column.least if folded else column.width for column in figures)
    widths: dict[int, int] = {}
    texts = sorted((k for k, column in enumerate(columns) if column.folds), key=lambda k: columns[k].width)
    for left, k in zip(range(len(texts), 0, -1), texts, strict=True):
        widths[k] = min(columns[k].width, room // left)
        room -= widths[k]
    return [column.cut(widths[k]) if k in widths else column for k, column in enumerate(columns)]


def _columns_of(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(column for row in rows for column in row))


def _side_by_side(columns: Sequence[_Column], width: int) -> list[tuple[list[_Column], bool]]:
    """Return columns by table, each with the keys, and whether headers are folded there: one table if all fit."""
    if sum(column.width if not column.folds else column.least for column in columns) + _frame(len(columns)) <= width:
        return [(list(columns), False)]
    if _least_width(columns) <= width:
        return [(list(columns), True)]
    keys = [column for column in columns if column.is_key]
    parts: list[list[_Column]] = [[]]
    for column in (column for column in columns if not column.is_key):
        wanted = [*keys, *parts[-1], column]
        if parts[-1] and sum(each.least for each in wanted) + _frame(len(wanted)) > width:
            parts.append([])
        parts[-1].append(column)
    return [([*keys, *part], True) for part in parts]


def _least_width(columns: Sequence[_Column]) -> int:
    """Return how wide a table has to be at least."""
    each = [min(column.least, LEAST_TEXT) if column.folds else column.least for column in columns]
    return sum(each) + _frame(len(columns))


def _frame(columns: int) -> int:
    """Return what a table is wider than its columns: a space on either side of each, and lines."""
    return 3 * columns + 1


def _alike(values: Sequence[Any]) -> list[str]:
    """Return the cells of a column, whose numbers have as many digits after the point, or all of them an exponent."""
    cells = list(map(_shown, values))
    spreads = [value for value in values if isinstance(value, Spread) and not math.isnan(value.mean)]
    if spreads and len(spreads) == sum(cell != "-" for cell in cells):
        return _alike_spreads(values, spreads)
    at = [k for k, value in enumerate(values) if isinstance(value, float) and math.isfinite(value)]
    if any("e" in cells[k] for k in at):
        return [f"{value:.2e}" if k in at else cells[k] for k, value in enumerate(values)]
    digits = max((len(cells[k].partition(".")[2]) for k in at), default=0)
    return [f"{value:.{digits}f}" if k in at else cells[k] for k, value in enumerate(values)]


def _alike_spreads(values: Sequence[Any], spreads: Sequence[Spread]) -> list[str]:
    """Return means and deviations with the digits that two of the smallest deviation are, or with an exponent each."""
    deviations = [each.deviation for each in spreads if each.deviation > 0]
    if any("e" in each for each in spreads) or not deviations:
        means = iter(_alike([each.mean for each in spreads]))
        return [f"{next(means)}{_deviation(each.deviation, '.2g')}" if each in spreads else "-" for each in values]
    digits = max(0, *(1 - math.floor(math.log10(deviation)) for deviation in deviations))
    form = f".{digits}f"
    return [f"{each.mean:{form}}{_deviation(each.deviation, form)}" if each in spreads else "-" for each in values]


def _without_noise(value: Any) -> Any:
    return 0.0 if isinstance(value, float) and abs(value) < NOISE else value


def _shown(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) >= 1e-4 or value == 0 else f"{value:.2e}"
    return shown(str(value))
