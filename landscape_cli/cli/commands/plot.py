"""`landscape plot`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from landscape_cli.cli.console import listen, say
from landscape_cli.cli.options import LookOptions, TerminalOptions


def plot(
    results: Annotated[
        list[Path],
        typer.Argument(
            help="Result files, .json, and logs of training, .csv; several of one kind.", show_default=False
        ),
    ],
    *,
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            help="Picture to write: .png, .pdf, .svg; of a plane .html (needs the extra 'interactive').",
        ),
    ],
    force: Annotated[bool, typer.Option("--force", help="Replace the picture if it exists.")] = False,
    look: LookOptions,
    terminal: TerminalOptions,
) -> None:
    """Draw saved results, one or several, as --plot draws them; nothing is computed anew.

    Paths beside each other share their axes; networks of several results on flatness, curvature and radial profiles are
    drawn together, as are training runs of several logs, and what train --subspace-dim comes to by its dimension.
    Samplers have the same colors, markers and lines in every picture: they are told by the names of files. Of
    connectors the CSV result holds the points.

    \b
    Examples:
      landscape plot raw.json aligned.json geodesic.json --labels raw,aligned,geodesic -o paths.pdf --width 6.75
      landscape plot flatness.json -o flatness.svg --width 3.3
      landscape plot sgd.csv rsgd.csv -o training.png
      landscape plot d16.json d64.json d256.json -o subspaces.png
      landscape plot plane.json --surface -o surface.png
      landscape plot plane.json -o surface.html
    """  # noqa: D301 - \b keeps the help's lines as they are
    from landscape_cli.cli.drawing import draw
    from landscape_cli.errors import ResultError
    from landscape_cli.figures.draw import check_picture
    from landscape_cli.figures.kinds import kind_of_results
    from landscape_cli.io.saved import read_result

    listen(quiet=terminal.quiet)
    check_picture(output, force=force)
    chosen = look.look([path.name for path in results])
    bodies = []
    for path in results:
        bodies.append(read_result(path))
        try:
            kind_of_results(bodies[-1:])
        except ResultError as error:
            raise ResultError(f"{path}: {error}") from error
    if any("facets" in body and "points" not in body for body in bodies):
        say("a connector's JSON has no points: its CSV has, of three networks drawn as triangles", quiet=terminal.quiet)
    draw(bodies, output, force=force, look=chosen, surface=look.surface)
    say(f"wrote {output}", quiet=terminal.quiet)
