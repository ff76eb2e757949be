"""Figures: empty ones to draw in, how large they are and are written; needs the extra `plot` (matplotlib)."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landscape_cli.errors import ResultError, one_line
from landscape_cli.io.atomic import check_output, write_atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".pdf", ".svg")
PANEL_WIDTH, PANEL_HEIGHT = 4.2, 3.1
"""In inches, of one panel of several."""
LEAST_PANEL = 2.2
"""In inches: panels that would be narrower stand below each other."""
SMALL, LARGE = 8.0, 9.0
"""Sizes of letters, in points, in a narrow figure and in a wide one."""
NARROW = 4.5
MOST_PIXELS = 20_000
"""Along a side: more take gigabytes, and nothing shows them."""
OF_LINE = 0.066
"""Inches of a small character, on the average."""
OF_ENTRY = 9
"""Characters that the line of an entry and the space around it are as wide as."""


@dataclass(frozen=True)
class Look:
    """How a figure is to look.

    Attributes:
        title: in place of the one that it has; "" for none.
        labels: in place of the names of what is drawn, in their order.
        ylim: the lowest and highest value on axes of errors and losses.
        width: of the figure, in inches.
        dpi: dots per inch, in a PNG.
        sources: names of the results that are drawn, to tell them apart by.
    """

    title: str | None = None
    labels: Sequence[str] = ()
    ylim: tuple[float, float] | None = None
    width: float | None = None
    dpi: int = 150
    sources: Sequence[str] = ()

    def label(self, names: Sequence[str]) -> list[str]:
        """Return the labels of what has these names.

        Raises:
            ResultError: if labels are given, but not as many.
        """
        if self.labels and len(self.labels) != len(names):
            raise ResultError(f"`labels=` are {len(self.labels)}, and {len(names)} things are drawn: name each")
        return list(self.labels or names)


DEFAULT = Look()


def check_plot(path: Path, *, force: bool, suffixes: Sequence[str] = SUFFIXES) -> None:
    """Check that a picture can be drawn and written to `path`, as matplotlib draws it by default.

    Raises:
        ResultError: if the suffix is unknown, matplotlib is missing or does not start, or a file stands in the way.
    """
    if path.suffix not in suffixes:
        raise ResultError(f"{path} must end in {', '.join(suffixes)}")
    check_output(path, force=force, error=ResultError)
    try:
        import matplotlib

        matplotlib.rcdefaults()  # a file of the current folder may ask for other bytes, or for programs to be run
    except ImportError:
        raise ResultError("plots need matplotlib: pip install 'landscape-cli[plot]'") from None
    except Exception as cause:  # of what the environment and its own files tell it, such as MPLBACKEND
        raise ResultError(f"matplotlib does not start: {one_line(cause)}; mend that, or leave out `plot=`") from cause


def new_figure(
    rows: int, columns: int, look: Look, *, tall: float = 1.0, least: float = LEAST_PANEL, **options: Any
) -> tuple[Figure, Any]:
    """Return an empty figure, and its panels by row and column; below each other where they would be too narrow.

    Args:
        rows: of panels.
        columns: of panels.
        look: how wide it is to be.
        tall: how much taller panels are than usual.
        least: inches that panels beside each other are wide at least.
        **options: of matplotlib's `subplots`, such as `sharey`.
    """
    from matplotlib.figure import Figure  # without pyplot: no display, no global state

    width = look.width or (5.2 if columns == 1 else PANEL_WIDTH * columns)
    across = columns
    while across > 1 and (width / across < least or columns % across):
        across -= 1
    down = rows * columns // across
    height = PANEL_HEIGHT * min(1.15, max(0.62, width / across / PANEL_WIDTH)) * tall
    figure = Figure(figsize=(width, height * down), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.07)  # type: ignore[union-attr,call-arg] # it is constrained
    grid = figure.subplots(down, across, squeeze=False, **options)
    return figure, grid.reshape(rows, columns)


def fit_height(figure: Figure, axes: Any, ratio: float, *, beside: float, above: float) -> tuple[float, float]:
    """Make a figure as high as panels need that are so many times as wide as high; return both, in inches.

    Args:
        figure: before its title and legend are written.
        axes: one of the panels.
        ratio: of width to height.
        beside: inches of labels and the like beside each panel, with small letters.
        above: the same above and below.
    """
    letters, grid = size_of(figure) / SMALL, axes.get_gridspec()
    width = max(0.6, figure.get_figwidth() / grid.ncols - beside * letters)
    figure.set_figheight(grid.nrows * (width / ratio + above * letters))
    return width, width / ratio


def write_legend(figure: Figure, entries: Mapping[str, Any]) -> None:
    """Write a legend below all panels, outside of them.

    Args:
        figure: where.
        entries: what is drawn, by its label.
    """
    if not entries:
        return
    size = size_of(figure)
    across = figure.get_figwidth() / (OF_LINE * size / SMALL)
    columns = next(count for count in range(len(entries), 0, -1) if count == 1 or _width(entries, count) <= across)
    _grow(figure, -(-len(entries) // columns))
    figure.legend(
        list(entries.values()),
        list(entries),
        loc="outside lower center",
        ncols=columns,
        fontsize=size,
        frameon=False,
        handlelength=3.2,
    )


def _width(entries: Iterable[str], columns: int) -> int:
    """Return how many characters wide a legend is in so many columns, which it fills one after the other."""
    lengths = [len(label) + OF_ENTRY for label in entries]
    full, rest = divmod(len(lengths), columns)
    sizes = [full + (column < rest) for column in range(columns)]
    return sum(max(lengths[sum(sizes[:column]) :][:size]) for column, size in enumerate(sizes))


def write_title(figure: Figure, look: Look, title: str) -> None:
    """Write the title above all panels, in lines as wide as the figure."""
    text = title if look.title is None else look.title
    if text:
        width = max(20, int(figure.get_figwidth() / (OF_LINE * size_of(figure) / SMALL)))
        lines = textwrap.wrap(text, width)
        _grow(figure, len(lines))
        figure.suptitle("\n".join(lines), fontsize=size_of(figure) + 0.5)


def _grow(figure: Figure, lines: int) -> None:
    """Make room for lines of text beside the panels."""
    figure.set_figheight(figure.get_figheight() + lines * 1.5 * size_of(figure) / 72)


def size_of(figure: Figure) -> float:
    """Return the size of a figure's letters, in points."""
    return SMALL if figure.get_figwidth() < NARROW else LARGE


def finish(figure: Figure) -> Figure:
    """Return a figure with letters of one size, which does not depend on settings of matplotlib, and quiet frames."""
    size = size_of(figure)
    for axes in figure.axes:
        axes.tick_params(labelsize=size - 1, which="both")
        for text in (axes.title, axes.xaxis.label, axes.yaxis.label, axes.xaxis.offsetText, axes.yaxis.offsetText):
            text.set_fontsize(size)
        if hasattr(axes, "zaxis"):
            axes.zaxis.label.set_fontsize(size)
        elif axes.get_label() != "<colorbar>" and not axes.images and axes.axison:
            for side in ("top", "right"):
                axes.spines[side].set_visible(False)
    return figure


def limits(values: Sequence[float], look: Look, *, above: float = 0.14) -> tuple[float, float]:
    """Return limits of an axis of errors or losses: a little below zero, so that a curve at zero is seen."""
    if look.ylim is not None:
        return look.ylim
    low, high = min((0.0, *values)), max((0.0, *values))
    span = (high - low) or 0.1
    return low - 0.045 * span, (high if high > low else 0.1) + above * span


def save(figure: Figure, path: Path, *, force: bool, dpi: int = DEFAULT.dpi) -> None:
    """Write a figure in the format of the suffix, whole or not at all; the same figure always gives the same bytes.

    SVG and PDF hold text as text. What is written in it is no formula: names of files may hold dollars.

    Raises:
        ResultError: if it cannot be written, or would have too many pixels.
    """
    import matplotlib

    width, height = (round(side * dpi) for side in figure.get_size_inches())
    if path.suffix == ".png" and max(width, height) > MOST_PIXELS:
        raise ResultError(
            f"{path} would have {width:,} by {height:,} pixels, and {MOST_PIXELS:,} a side are the most: lower "
            "`width=` or `dpi=`"
        )
    _write_plainly(figure)
    content = io.BytesIO()
    dateless = {".png": {}, ".pdf": {"CreationDate": None}, ".svg": {"Date": None}}
    # The salt is of names of parts, which are random without one.
    settings: Any = {"svg.hashsalt": "landscape", "svg.fonttype": "none", "pdf.fonttype": 42}
    with matplotlib.rc_context(settings):
        figure.savefig(content, format=path.suffix[1:], dpi=dpi, metadata=dateless[path.suffix])
    write_atomic(path, content.getvalue(), force=force, error=ResultError)


def _write_plainly(figure: Figure) -> None:
    """Let no text in a figure be parsed as mathematics, or hold what is not printable; but for numbers at ticks."""
    from matplotlib.text import Text

    at_axes = {text for axes in figure.axes for axis in _axes_of(axes) for text in axis.findobj(Text)}
    for text in set(figure.findobj(Text)) - at_axes:
        text.set_parse_math(False)
        lines = text.get_text().split("\n")
        text.set_text("\n".join("".join(c if c.isprintable() else _escaped(c) for c in line) for line in lines))


def _axes_of(axes: Any) -> list[Any]:
    return [axes.xaxis, axes.yaxis, *([axes.zaxis] if hasattr(axes, "zaxis") else [])]


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
