"""What `landscape plane` writes, and shows on a terminal: networks, directions, scores at the nodes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from landscape_cli.cli.console import emit
from landscape_cli.cli.drawing import drawn_last
from landscape_cli.cli.options import PictureOptions
from landscape_cli.cli.sketch import number, print_curves, print_field
from landscape_cli.cli.tables import print_table
from landscape_cli.figures.plane_data import Field, corner_labels, fields_of
from landscape_cli.io.results import Result
from landscape_cli.measures.plane_frame import PlaneFrame
from landscape_cli.measures.surroundings_frame import SurroundingsFrame
from landscape_cli.sharing.share import Values

AnyPlane = PlaneFrame | SurroundingsFrame


def write_plane(
    frame: AnyPlane, values: Values, provenance: Mapping[str, Any], result: PictureOptions, *, quiet: bool
) -> None:
    """Write what was measured in a plane, or on a line through one network, and draw it if that is asked for.

    Raises:
        ResultError: if it cannot be written, or a value is none of a network's.
    """
    body = frame.result(values).to_dict()
    written = Result(body, body["points"], provenance)
    with drawn_last(result.plot, written, force=result.force, quiet=quiet):
        emit(written, result, quiet=quiet, show=show_plane)


def show_plane(result: Result) -> None:
    """Print what lies in a plane, what its nodes come to, and a sketch; of a line its points.

    All nodes are in JSON and CSV.
    """
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
    if "y" not in result.body:
        print_table(result)
        columns = [name for name in result.rows[0] if name.endswith(("_error", "_loss"))]
        curves = {name.replace("_", " "): [number(row.get(name)) for row in result.rows] for name in columns}
        print_curves(curves, alike=False)
        return
    fields = [field for row in fields_of(result.body) for field in row]
    print_table(replace(result, rows=[_summary(field, result.body) for field in fields]))
    x, y = result.body["x"], result.body["y"]
    lettered = zip(result.body["networks"], "abc", strict=False)
    marks = {(_nearest(y, corner["y"]), _nearest(x, corner["x"])): letter for corner, letter in lettered}
    print_field(fields[0].values, marks, f"{fields[0].split} {fields[0].quantity}")


def _summary(field: Field, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a field comes to: how low and high it is, and where it is lowest."""
    known = sorted(field.known)
    row: dict[str, Any] = {"nodes": f"{field.split} {field.quantity}"}
    if not known:
        return row | dict.fromkeys(("min", "median", "max"))
    nodes = [(x, y) for y in body["y"] for x in body["x"]]
    values = [value for of_row in field.values for value in of_row]
    places = ((value, *node) for value, node in zip(values, nodes, strict=True))
    lowest, x, y = min((place for place in places if math.isfinite(place[0])), key=lambda place: place[0])
    row |= {"min": lowest, "at x": x, "at y": y, "median": known[len(known) // 2], "max": known[-1]}
    missing = sum(map(len, field.values)) - len(known)
    return row | ({"missing": missing} if missing else {})


def _nearest(values: Sequence[float], value: float) -> int:
    return min(range(len(values)), key=lambda k: abs(values[k] - value))
