"""What `--merge` does: the result of a command, put together of the files that `--part` wrote."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from landscape_cli.choices import load
from landscape_cli.cli.console import listen
from landscape_cli.cli.options import PictureOptions, ResultOptions, TerminalOptions
from landscape_cli.cli.outputs import check_result_output
from landscape_cli.cli.sharing import counted
from landscape_cli.errors import ResultError, one_line

REPORTS = "landscape_cli.cli.reports"
WRITERS = {
    "distance": (f"{REPORTS}.distance:DistanceFrame", f"{REPORTS}.distance:write_distances"),
    "flatness": (f"{REPORTS}.flatness:FlatnessFrame", f"{REPORTS}.flatness:write_flatness"),
    "path": (f"{REPORTS}.path:PathsOrLine", f"{REPORTS}.path:write_paths"),
    "plane": (f"{REPORTS}.plane:AnyPlane", f"{REPORTS}.plane:write_plane"),
}
"""Of each command the type of a result's frame, and what writes a whole result of a frame and values."""
WITHOUT_PICTURES = ("distance",)

Parts = Annotated[list[Path], typer.Argument(help="The files of all parts.", show_default=False)]
Merge = Annotated[bool, typer.Option("--merge", help="Put them together.", show_default=False)]


def merge_command(name: str) -> Callable[..., None]:
    """Return the function that is a command with `--merge`."""

    def merge(parts: Parts, *, merge: Merge = True, result: PictureOptions, terminal: TerminalOptions) -> None:
        """Write the result of a measurement, put together of the files that --part wrote.

        It is the same, byte for byte, as if one process had measured all.
        """
        _merge(name, parts, result, result.plot, quiet=terminal.quiet)

    def merge_without(parts: Parts, *, merge: Merge = True, result: ResultOptions, terminal: TerminalOptions) -> None:
        _merge(name, parts, result, None, quiet=terminal.quiet)

    merge_without.__doc__ = merge.__doc__
    return merge_without if name in WITHOUT_PICTURES else merge


def _merge(command: str, paths: Sequence[Path], result: ResultOptions, plot: Path | None, *, quiet: bool) -> None:
    """Write the result that parts of a command's come to.

    Raises:
        LandscapeError: if they do not make one whole, or it cannot be written.
    """
    from landscape_cli.cli.reports.path import COUNTED
    from landscape_cli.io.records import RecordError, from_record
    from landscape_cli.measures.items import COMPARED
    from landscape_cli.sharing.partial import check_complete, merge, read_part

    listen(quiet=quiet)
    check_result_output(result, force=result.force)
    kind, write = map(load, WRITERS[command])
    values, first = merge(paths, [read_part(path, command) for path in paths])
    try:
        frame = from_record(kind, first.frame, "the frame")
        check_complete(values, frame, besides=(COMPARED, COUNTED))
        write(frame, values, counted(first.provenance, values), result, quiet=quiet)
    except RecordError as cause:
        raise ResultError(f"{values.file} is damaged: {cause}") from cause
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as cause:  # numbers that do not fit
        raise ResultError(f"these parts make no result ({one_line(cause)}): measure them again") from cause
