"""What people see: progress and remarks on standard error, results on standard output."""

from __future__ import annotations

import logging
import math
import re
import sys
import textwrap
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landscape_cli.choices import Format, ProgressStyle
from landscape_cli.cli.parsing import flag
from landscape_cli.cli.progress import ProgressLines, progress_style
from landscape_cli.cli.sketch import is_plain
from landscape_cli.cli.stdout import writing_stdout
from landscape_cli.errors import LandscapeError, LandscapeWarning, Remark, escaped, shortened, shown

if TYPE_CHECKING:
    from rich.progress import Progress

    from landscape_cli.cli.options import ResultOptions
    from landscape_cli.io.results import Result

REFRESH_SECONDS = 0.1
WIDE = 80
"""Columns of a terminal that has room for all that a progress bar says."""
OF_FIGURES = {"matplotlib", "mpl_toolkits", "landscape_cli.figures"}
"""Packages whose code remarks on how a figure looks, which is never wrong."""
OF_KERNELS = ".* is not supported with oneDNN"
"""PyTorch's remark on which of its kernels it takes, of LSTMs with projections."""
MOST_NETWORKS = 10**7
"""No command evaluates more: that is a slip, or work for several commands."""
MANY_NETWORKS, MANY = 10**4, 10**9
"""What takes so much says so at the start."""
FIGURE = re.compile(r"-$|(× )?[-+]?[0-9.]+(e[-+][0-9]+)?( ±|°?$)")
"""What text in a table is a number, a mean ± its deviation, an angle or a factor."""
IN_ASCII = str.maketrans({"±": "+-", "τ": "tau", "σ": "sigma", "°": " deg", "×": "x"})
"""What stands for signs in headers and figures where there are letters of ASCII alone."""
NAME_WIDTH = 14
"""Characters of a name that stay together at least in each of several tables."""
LEAST_TEXT = 5
"""The same where all is in one table."""


def say(message: str, *, quiet: bool = False) -> None:
    """Print a remark on standard error, in the words of the command line."""
    if not quiet:
        print(f"landscape: {shortened(escaped(in_options(message)))}", file=sys.stderr)


def make_progress(*extra: Any) -> Progress:
    """Return a progress bar on standard error that leaves standard output alone; `extra` are more columns."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Column

    console = Console(stderr=True, markup=False, emoji=False)
    wide = console.width >= WIDE
    return Progress(
        TextColumn(
            "{task.description}", markup=False, table_column=Column(overflow="fold")
        ),  # which folds, rather than numbers
        *([BarColumn(bar_width=24)] if wide and not is_plain() else []),
        *(extra or (MofNCompleteColumn(table_column=Column(no_wrap=True)),)),
        *([TextColumn("{task.fields[rate]}", markup=False)] if wide else []),
        TimeRemainingColumn(table_column=Column(no_wrap=True)),
        console=console,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )


def check_networks(networks: int) -> None:
    """Check that a command does not evaluate networks without end.

    Raises:
        LandscapeError: if they are too many.
    """
    if networks > MOST_NETWORKS:
        raise LandscapeError(
            f"{networks:,} networks would be evaluated, and {MOST_NETWORKS:,} are the most that a command takes: "
            "lower the numbers, or measure in parts"
        )


@contextmanager
def progress(
    description: str, total: int, unit: str, *, quiet: bool, networks: int = 0
) -> Iterator[Callable[[int], None] | None]:
    """Yield a function to call with the amount done, for a bar or lines; None where nobody would see them.

    Args:
        description: what is done.
        total: the amount of it.
        unit: what is counted.
        quiet: whether to show nothing.
        networks: how many are evaluated.

    Raises:
        LandscapeError: if those are too many.
    """
    check_networks(networks)
    if networks >= MANY_NETWORKS or total >= MANY:
        size = f"{networks:,} networks, " if networks else ""
        say(f"{description}: {size}{total:,} {unit} in all", quiet=quiet)
    style = progress_style(quiet)
    if style is ProgressStyle.NONE:
        yield None
        return
    if style is ProgressStyle.LINES:
        lines = ProgressLines(description, total, unit, say)
        yield lines.advance
        lines.end()
        return
    with make_progress() as bar:
        task = bar.add_task(description, total=total or None, rate="")
        start = shown = time.monotonic()
        done = 0

        def advance(amount: int) -> None:
            nonlocal done, shown
            done += amount
            now = time.monotonic()
            if now - shown > REFRESH_SECONDS or done == total:
                shown = now
                bar.update(task, completed=done, rate=f"{done / max(now - start, 1e-9):,.0f} {unit}/s")

        yield advance
        bar.update(task, total=done, completed=done)  # of work that ended early


def emit(result: Result, to: ResultOptions, *, quiet: bool, show: Callable[[Result], None] | None = None) -> None:
    """Write a result to a file, or print it: a table (by `show`) on a terminal, else JSON, or in another form."""
    from landscape_cli.io.results import write_result

    comment = not to.no_comment
    if to.output is not None:
        write_result(to.output, result, force=to.force, comment=comment)
        say(f"wrote {to.output}", quiet=quiet)
        return
    if sys.stdout is None:  # closed, as by `>&-`
        return
    form = to.form or (Format.TABLE if sys.stdout.isatty() else Format.JSON)
    with writing_stdout():
        if form is Format.TABLE:
            (show or print_table)(result)
        else:
            sys.stdout.write(result.to_json() if form is Format.JSON else result.to_csv(comment=comment))
        sys.stdout.flush()


def print_table(result: Result, names: Sequence[str] = (), *, keys: Sequence[str] = ()) -> None:
    """Print the rows of a result as a table, or as several below each other where its figures do not fit side by side.

    No figure is cut. Names of files fold.

    Args:
        result: what to print the rows of.
        names: columns that are names of files, and headed by them as they are.
        keys: columns that say what a row is of, which each of several tables has; by default those with text.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    columns = [_Column.of(column, result.rows, column in names, column in keys) for column in _columns_of(result.rows)]
    width = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 400).width
    for part, folded in _side_by_side(columns, width):
        table = Table(box=box.ASCII if is_plain() else box.HEAVY_HEAD)
        for column in part:
            header = column.folded if folded else column.header
            justify = "right" if column.is_number else "left"
            table.add_column(header, justify=justify, no_wrap=not column.folds, overflow="fold")  # type: ignore[arg-type]
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
    def of(cls, name: str, rows: Sequence[Mapping[str, Any]], is_name: bool, is_key: bool) -> _Column:
        """Return the column of that name; `is_name` says that this is a file's, `is_key` that it tells rows apart."""
        values = [row.get(name) for row in rows]
        cells = tuple(map(_shown, values)) if len(values) < 2 else tuple(_alike(values))
        is_number = all(isinstance(value, int | float | None) for value in values)
        folds = any(isinstance(value, str) and not FIGURE.match(value) for value in values)
        header = shown(name if is_name else name.replace("_", " "))
        if is_plain():
            header = header if is_name else header.translate(IN_ASCII)
            cells = cells if folds else tuple(cell.translate(IN_ASCII) for cell in cells)
        width = max((*map(len, cells), *map(len, header.split())), default=0)
        folded = header if folds else "\n".join(textwrap.wrap(header, max(width, 1)))
        return cls(header, folded, cells, is_number, is_key or folds, folds)

    @property
    def width(self) -> int:
        """How wide it is with all on one line."""
        return max(map(len, (self.header, *self.cells)))

    @property
    def least(self) -> int:
        """How wide it has to be: names fold, figures do not."""
        width = max(map(len, (*self.folded.split("\n"), *self.cells)))
        return min(width, NAME_WIDTH) if self.folds else width


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
    at = [k for k, value in enumerate(values) if isinstance(value, float) and math.isfinite(value)]
    if any("e" in cells[k] for k in at):
        return [f"{value:.2e}" if k in at else cells[k] for k, value in enumerate(values)]
    digits = max((len(cells[k].partition(".")[2]) for k in at), default=0)
    return [f"{value:.{digits}f}" if k in at else cells[k] for k, value in enumerate(values)]


def _shown(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) >= 1e-4 or value == 0 else f"{value:.2e}"
    return shown(str(value))


def listen(*, quiet: bool) -> None:
    """From here on, print what the library warns of as lines on standard error; `quiet` leaves out what it can."""

    def show(message: Warning | str, category: type[Warning], filename: str = "", *_: Any, **__: Any) -> None:
        left_out = issubclass(category, LandscapeWarning | Remark) or _is_of_figures(filename)
        prefix = "" if issubclass(category, Remark) else "warning: "
        say(f"{prefix}{message}", quiet=quiet and left_out)

    for category in (LandscapeWarning, Remark):
        warnings.simplefilter("always", category)
    warnings.filterwarnings("ignore", OF_KERNELS)
    warnings.showwarning = show
    log = logging.getLogger("matplotlib")
    log.handlers, log.propagate = [_Lines(quiet)], False


def _is_of_figures(filename: str) -> bool:
    """Tell whether a file is of the packages that draw, as they were imported: others may have folders of that name."""
    packages = (sys.modules.get(name) for name in OF_FIGURES)
    folders = [folder for package in packages for folder in getattr(package, "__path__", ())]
    return any(Path(filename).is_relative_to(folder) for folder in folders)


class _Lines(logging.Handler):
    """What another package logs, as lines on standard error."""

    def __init__(self, quiet: bool) -> None:
        super().__init__(logging.WARNING)
        self._quiet = quiet

    def emit(self, record: logging.LogRecord) -> None:
        """Print it."""
        say(f"warning: {' '.join(record.getMessage().split())}", quiet=self._quiet)


def in_options(message: str) -> str:
    """Return a message of the library in the words of the command line: the parameter `data=` is the option --data."""
    return re.sub(r"`(\w+)=`", lambda match: flag(match[1]), message)
