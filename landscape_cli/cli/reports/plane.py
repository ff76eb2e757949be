"""What `landscape plane` shows on a terminal: where networks lie, directions, and the scores at the nodes."""

from __future__ import annotations

from dataclasses import replace

from landscape_cli.cli.console import print_table
from landscape_cli.figures.plane import corner_labels
from landscape_cli.io.results import Result


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
