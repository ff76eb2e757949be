"""Figures on disk: empty ones to draw in, and writing them whole; needs the extra `plot` (matplotlib)."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landscape_cli.errors import ResultError, one_line
from landscape_cli.io.atomic import check_output, write_atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".pdf", ".svg")


def check_plot(path: Path, *, force: bool) -> None:
    """Check that a picture can be drawn and written to `path`, as matplotlib draws it by default.

    Raises:
        ResultError: if the suffix is unknown, matplotlib is missing or does not start, or a file stands in the way.
    """
    if path.suffix not in SUFFIXES:
        raise ResultError(f"{path} must end in {', '.join(SUFFIXES)}")
    check_output(path, force=force, error=ResultError)
    try:
        import matplotlib

        matplotlib.rcdefaults()  # a file of the current folder may ask for other bytes, or for programs to be run
    except ImportError:
        raise ResultError("plots need matplotlib: pip install 'landscape-cli[plot]'") from None
    except Exception as cause:  # of what the environment and its own files tell it, such as MPLBACKEND
        raise ResultError(f"matplotlib does not start: {one_line(cause)}; mend that, or leave out `plot=`") from cause


def new_figure(panels: int) -> tuple[Figure, Any]:
    """Return an empty figure, and its panels side by side."""
    figure, axes = new_grid(1, panels)
    return figure, axes[0]


def new_grid(rows: int, columns: int) -> tuple[Figure, Any]:
    """Return an empty figure, and its panels by row and column."""
    from matplotlib.figure import Figure  # without pyplot: no display, no global state

    figure = Figure(figsize=(6.0 * columns, 4.2 * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def save(figure: Figure, path: Path, *, force: bool) -> None:
    """Write a figure in the format of the suffix, whole or not at all; the same figure always gives the same bytes.

    What is written in it is no formula: names of files may hold dollars.

    Raises:
        ResultError: if it cannot be written.
    """
    import matplotlib

    _write_plainly(figure)
    content = io.BytesIO()
    dateless = {".png": {}, ".pdf": {"CreationDate": None}, ".svg": {"Date": None}}
    with matplotlib.rc_context({"svg.hashsalt": "landscape"}):  # names of parts, else drawn at random
        figure.savefig(content, format=path.suffix[1:], dpi=150, metadata=dateless[path.suffix])
    write_atomic(path, content.getvalue(), force=force, error=ResultError)


def _write_plainly(figure: Figure) -> None:
    """Let no text in a figure be parsed as mathematics, or hold what is not printable; but for numbers at ticks."""
    from matplotlib.text import Text

    at_axes = {text for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for text in axis.findobj(Text)}
    for text in set(figure.findobj(Text)) - at_axes:
        text.set_parse_math(False)
        text.set_text("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text.get_text()))
