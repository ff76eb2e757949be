"""What people see: progress and remarks on standard error, results on standard output."""

from __future__ import annotations

import logging
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landscape_cli.choices import Format, ProgressStyle
from landscape_cli.cli.parsing import flag
from landscape_cli.cli.progress import ProgressLines, progress_style
from landscape_cli.cli.ranks import RANKS_OF_THIS_PROCESS
from landscape_cli.cli.sketch import is_plain
from landscape_cli.cli.stdout import writing_stdout
from landscape_cli.cli.tables import print_table
from landscape_cli.errors import LandscapeError, LandscapeWarning, Remark, escaped, shortened

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


def say(message: str, *, quiet: bool = False) -> None:
    """Print a remark on standard error, in the words of the command line."""
    if not quiet:
        RANKS_OF_THIS_PROCESS.said.append(f"landscape: {shortened(escaped(in_options(message)))}")
        print(RANKS_OF_THIS_PROCESS.said[-1], file=sys.stderr)


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
