"""What people see: progress and remarks on standard error, results on standard output."""

from __future__ import annotations

import logging
import math
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landscape_cli.choices import Format
from landscape_cli.cli.options import flag
from landscape_cli.cli.stdout import writing_stdout
from landscape_cli.errors import LandscapeError, LandscapeWarning, Remark, escaped, shortened, shown

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table

    from landscape_cli.io.results import Result

REFRESH_SECONDS = 0.1
OF_FIGURES = {"matplotlib", "figures"}
"""Folders whose code remarks on how a figure looks, which is never wrong."""
MOST_NETWORKS = 10**7
"""No command evaluates more: that is a slip, or work for several commands."""
MANY_NETWORKS, MANY = 10**4, 10**9
"""What takes so much says so at the start."""
WIDE = 10_000
"""Characters a line, more than any table needs."""
LEAST_TEXT = 5
"""Characters a line, below which folded text can no more be read."""


def say(message: str, *, quiet: bool = False) -> None:
    """Print a remark on standard error, in the words of the command line."""
    if not quiet:
        print(f"landscape: {shortened(escaped(in_options(message)))}", file=sys.stderr)


def make_progress(*extra: Any) -> Progress:
    """Return a progress bar on standard error that leaves standard output alone; `extra` are more columns."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        *(extra or (MofNCompleteColumn(),)),
        TextColumn("{task.fields[rate]}", markup=False),
        TimeRemainingColumn(),
        console=Console(stderr=True, markup=False, emoji=False),
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


def shows_progress(quiet: bool) -> bool:
    """Tell whether there is anyone to see a progress bar."""
    return not quiet and sys.stderr.isatty()


@contextmanager
def progress(
    description: str, total: int, unit: str, *, quiet: bool, networks: int = 0
) -> Iterator[Callable[[int], None] | None]:
    """Yield a function to call with the amount done; None where nobody would see the bar.

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
    if not shows_progress(quiet):
        yield None
        return
    with make_progress() as bar:
        task = bar.add_task(description, total=total, rate="")
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


def emit(
    result: Result,
    *,
    output: Path | None,
    form: Format | None,
    force: bool,
    quiet: bool,
    show: Callable[[Result], None] | None = None,
) -> None:
    """Write a result to `output`, or print it: a table (by `show`) on a terminal, else JSON, or as `form` says."""
    from landscape_cli.io.results import write_result

    if output is not None:
        write_result(output, result, force=force)
        say(f"wrote {output}", quiet=quiet)
        return
    if sys.stdout is None:  # closed, as by `>&-`
        return
    form = form or (Format.TABLE if sys.stdout.isatty() else Format.JSON)
    with writing_stdout():
        if form is Format.TABLE:
            (show or print_table)(result)
        else:
            sys.stdout.write(result.to_json() if form is Format.JSON else result.to_csv())
        sys.stdout.flush()


def print_table(result: Result, names: Sequence[str] = ()) -> None:
    """Print the rows of a result as a table; columns that are names of files are headed by them as they are.

    Where it is too wide, headings of numbers have a word on each line, and text is folded: nothing is cut.
    """
    from rich.console import Console

    width = None if sys.stdout.isatty() else 400
    console = Console(file=sys.stdout, width=width, markup=False, emoji=False, highlight=False)
    table = _table(result, names, folded=False)
    if console.measure(table, options=console.options.update(width=WIDE)).maximum > console.width:
        table = _table(result, names, folded=True)
        if sum(_least_widths(console, table)) > console.width:
            for column in table.columns:
                column.no_wrap = False
    console.print(table)


def _table(result: Result, names: Sequence[str], *, folded: bool) -> Table:
    """Return the table of the rows of a result; `folded` leaves width to numbers, which are not folded."""
    from rich.table import Table

    columns = list(dict.fromkeys(column for row in result.rows for column in row))
    table = Table()
    for column in columns:
        numeric = all(isinstance(row.get(column), int | float | None) for row in result.rows)
        heading = shown(column if column in names else column.replace("_", " "))
        whole = folded and numeric and column not in names
        table.add_column(
            heading.replace(" ", "\n") if whole else heading,
            justify="right" if numeric else "left",
            overflow="fold",
            no_wrap=whole,
        )
    for row in result.rows:
        table.add_row(*(_shown(row.get(column)) for column in columns))
    return table


def _least_widths(console: Console, table: Table) -> list[int]:
    """Return how wide the columns of a table have to be, with their borders."""
    from rich.measure import measure_renderables

    widths = [1]
    for column in table.columns:
        widest = measure_renderables(console, console.options.update(width=WIDE), [column.header, *column.cells])
        widths.append((widest.maximum if column.no_wrap else min(widest.maximum, LEAST_TEXT)) + 3)
    return widths


def _shown(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) >= 1e-4 or value == 0 else f"{value:.2e}"
    return shown(str(value))


def listen(*, quiet: bool) -> None:
    """From here on, print what the library warns of as lines on standard error; `quiet` leaves out what it can."""

    def show(message: Warning | str, category: type[Warning], filename: str = "", *_: Any, **__: Any) -> None:
        left_out = issubclass(category, LandscapeWarning | Remark) or bool(
            OF_FIGURES.intersection(Path(filename).parts)
        )
        prefix = "" if issubclass(category, Remark) else "warning: "
        say(f"{prefix}{message}", quiet=quiet and left_out)

    for category in (LandscapeWarning, Remark):
        warnings.simplefilter("always", category)
    warnings.showwarning = show
    log = logging.getLogger("matplotlib")
    log.handlers, log.propagate = [_Lines(quiet)], False


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
