"""Pictures that commands draw: after the results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landscape_cli.cli.console import say
from landscape_cli.errors import LandscapeError, ResultError, one_line

if TYPE_CHECKING:
    from landscape_cli.io.results import Result


@contextmanager
def drawn_last(
    plot: Path | None, result: Result, *, force: bool, quiet: bool, points: Sequence[Any] = ()
) -> Iterator[None]:
    """Draw a picture of a result, if one is asked for, once it is written; or even if it cannot be.

    Args:
        plot: the picture.
        result: what is drawn, as `landscape plot` draws it from its file.
        force: whether an existing file may be replaced.
        quiet: whether to leave out remarks.
        points: of a connector, whose result has them in CSV alone.

    Raises:
        ResultError: if it cannot be drawn or written.
    """
    try:
        yield
    except (LandscapeError, OSError):
        with suppress(ResultError):
            _draw(plot, result, points, force=force)
        raise
    _draw(plot, result, points, force=force)
    if plot is not None:
        say(f"wrote {plot}", quiet=quiet)


def _draw(plot: Path | None, result: Result, points: Sequence[Any], *, force: bool) -> None:
    if plot is None:
        return
    from landscape_cli.io.results import finite

    body = finite({**result.body, "provenance": result.provenance} | ({"points": points} if points else {}))
    draw([body], plot, force=force)


def draw(bodies: Sequence[Any], plot: Path, *, force: bool, **look: Any) -> None:
    """Draw results, as they are in files, and write the picture.

    Args:
        bodies: of one kind.
        plot: the picture.
        force: whether an existing file may be replaced.
        **look: how it is to look, and `surface`.

    Raises:
        ResultError: if it cannot be drawn or written.
    """
    from landscape_cli.figures.draw import draw_to

    try:
        draw_to(plot, *bodies, force=force, **look)
    except (LandscapeError, MemoryError):
        raise
    except Exception as cause:  # whatever matplotlib thinks of fonts, names or numbers
        raise ResultError(f"{plot} cannot be drawn: {type(cause).__name__}: {one_line(cause)}") from cause
