"""What `landscape plane` writes, and shows on a terminal: networks, directions, scores at the nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from landscape_cli.cli.console import emit, print_table
from landscape_cli.cli.options import PictureOptions
from landscape_cli.cli.outputs import drawn_last
from landscape_cli.figures.plane import corner_labels
from landscape_cli.io.results import Result
from landscape_cli.measures.plane import PlaneFrame
from landscape_cli.sharing.share import Values


def write_plane(
    frame: PlaneFrame, values: Values, provenance: Mapping[str, Any], result: PictureOptions, *, quiet: bool
) -> None:
    """Write what was measured in a plane, and draw it if that is asked for.

    Raises:
        ResultError: if it cannot be written, or a value is none of a network's.
    """
    body = frame.result(values).to_dict()
    written = Result(body, body["points"], provenance)
    with drawn_last(result.plot, written, force=result.force, quiet=quiet):
        emit(written, output=result.output, form=result.form, force=result.force, quiet=quiet, show=show_plane)


def show_plane(result: Result) -> None:
    """Print the corners of a plane, networks or what stands in for them, and then the nodes of the grid."""
    labels = corner_labels(result.body, short=False)
    corners = [
        ({"corner": corner["name"]} if "name" in corner else {})
        | {"network": label}
        | {name: value for name, value in corner.items() if name not in {"name", "network", "third"}}
        for corner, label in zip(result.body["networks"], labels, strict=True)
    ]
    if "directions" in result.body:
        print_table(replace(result, rows=result.body["directions"]))
    print_table(replace(result, rows=corners))
    for kind in ("trajectory", "projected"):
        if kind in result.body:
            print_table(replace(result, rows=result.body[kind]))
    print_table(result)
