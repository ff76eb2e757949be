"""The figure of any result, drawn by what its kind is drawn by, and written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landscape_cli.choices import load
from landscape_cli.figures import shapes
from landscape_cli.figures.figure import DEFAULT, SUFFIXES, Look, check_plot, save
from landscape_cli.figures.kinds import check_is_plane, kind_of_results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HERE = "landscape_cli.figures."


def figure_of(*results: Any, look: Look = DEFAULT, surface: bool = False) -> Figure:
    """Draw results as their kind is drawn: paths, planes, flatness, curvature, profiles, distances, connectors, logs.

    No state of pyplot is touched. Needs matplotlib, as the extra `plot` has it.

    Args:
        *results: what functions of this package return of paths, planes and the like (`to_dict`), or what result files
            hold, read by `read_result`; several of one kind are drawn together.
        look: titles, labels, limits and the size.
        surface: whether a plane is drawn as a surface.

    Returns:
        The figure, which `savefig` writes, and notebooks show.

    Raises:
        ResultError: if one is no such result, they are of several kinds, or labels are not as many.
    """
    kind, bodies = kind_of_results(results)
    if surface:
        from landscape_cli.figures.surface import surface_figure

        check_is_plane(kind)
        return surface_figure(bodies[0], look=look)
    drawn: Sequence[Any] = [body["points"] for body in bodies] if kind.shape is shapes.LOG else bodies
    figure: Figure = load(HERE + kind.home)(*drawn, look=look)
    return figure


def check_picture(path: Path, *, force: bool) -> None:
    """Check that a picture can be drawn and written to `path`, a page too.

    Raises:
        ResultError: if the suffix is unknown, what draws it is missing, or a file stands in the way.
    """
    from landscape_cli.figures.surface import PAGE, check_page

    check_plot(path, force=force, suffixes=(*SUFFIXES, PAGE))
    check_page(path)


def draw_to(path: Path, *results: Any, look: Look = DEFAULT, surface: bool = False, force: bool = False) -> None:
    """Draw results and write the picture, or of a plane the page in which its surface is turned.

    Args:
        path: .png, .pdf, .svg, or .html.
        *results: as `figure_of` takes them.
        look: how it is to look.
        surface: whether a plane is drawn as a surface.
        force: whether an existing file may be replaced.

    Raises:
        ResultError: if they cannot be drawn or written.
    """
    from landscape_cli.figures.surface import PAGE, surface_page, write_page

    if path.suffix == PAGE:
        kind, bodies = kind_of_results(results)
        check_is_plane(kind)
        write_page(surface_page(bodies[0], look=look), path, force=force)
        return
    save(figure_of(*results, look=look, surface=surface), path, force=force, dpi=look.dpi)
