"""What a plane's result holds as figures and tables show it: fields, names, networks outside of the grid."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from landscape_cli.errors import cut_middle
from landscape_cli.figures.curve import as_number
from landscape_cli.figures.figure import Look
from landscape_cli.figures.style import LONGEST, short_labels

SPLITS = ("train", "test")
OTHERS = (
    ("trajectory", "trajectory, in order", {"marker": "o", "linestyle": "-", "markersize": 3, "linewidth": 1}),
    ("projected", "projected networks", {"marker": "D", "linestyle": "none", "markersize": 4}),
)
"""Networks beside the corners: what results call them, what figures do, and how they look."""
OFF, FAR = "off the plane", 0.1
"""What networks are that are farther from it than that part of their distance from its origin."""
OUTSIDE = "outside of the picture, nearest to it"


class Field(NamedTuple):
    """What was measured at the nodes.

    Attributes:
        split: on which data.
        quantity: error or loss.
        values: row by row, NaN where there is none.
    """

    split: str
    quantity: str
    values: list[list[float]]

    @property
    def known(self) -> list[float]:
        """All values that there are."""
        return [value for row in self.values for value in row if math.isfinite(value)]


def fields_of(plane: Mapping[str, Any]) -> list[list[Field]]:
    """Return a list for each quantity that was measured, of a field for each split."""
    width, points = len(plane["x"]), plane["points"]
    kinds = ("error", "loss") if "quantity" not in plane else (plane["quantity"],)
    rows = []
    for kind in kinds:
        there = [split for split in SPLITS if f"{split}_{kind}" in points[0]]
        columns = [[as_number(row.get(f"{split}_{kind}")) for row in points] for split in there]
        grids = [[values[k : k + width] for k in range(0, len(values), width)] for values in columns]
        rows.append([Field(split, kind, grid) for split, grid in zip(there, grids, strict=True)])
    return [row for row in rows if row]


def corner_labels(plane: Mapping[str, Any], *, short: bool = True) -> list[str]:
    """Return what the corners of a plane are: networks' files, or what stands in, numbered where two are the same.

    `short` makes labels of files' names.
    """
    corners = plane["networks"]
    same = [corner["network"] for corner in corners if "third" in corner]
    names = [corner["network"] for corner in corners if "third" not in corner]
    given = iter(short_labels(names) if short else names)
    labels = []
    for k, corner in enumerate(corners):
        if "third" not in corner:
            labels.append(next(given))
            continue
        count = sum("third" in other for other in corners[: k + 1])
        labels.append(corner["network"] + f" {count}" * (same.count(corner["network"]) > 1))
    return labels


def names_of(plane: Mapping[str, Any], look: Look) -> tuple[list[str], list[str]]:
    """Return the labels of the corners, and of what is projected: labels that are given name the corners, or all."""
    corners, projected = corner_labels(plane), plane.get("projected", ())
    more = short_labels([str(network.get("network", "")) for network in projected])
    if len(look.labels) == len(corners):
        return look.label(corners), more
    names = look.label([*corners, *more])
    return names[: len(corners)], names[len(corners) :]


def is_off(plane: Mapping[str, Any], network: Mapping[str, Any]) -> bool:
    """Tell whether a network is far from the plane: more than a part of its distance from where both axes are zero."""
    away = as_number(network.get("distance"))
    lengths = [as_number(each["length"]) for each in plane.get("directions", ())] or [1.0, 1.0]
    along = [as_number(network[axis]) * length for axis, length in zip("xy", lengths, strict=False)]
    return away > FAR * math.hypot(away, *along)


def plane_name(plane: Mapping[str, Any], labels: Sequence[str]) -> str:
    """Return what plane it is: that through networks with these labels, or the principal one of more."""
    path = plane.get("trajectory", ())
    if not path:
        return f"plane through {', '.join(labels)}"
    ends = short_labels([path[k]["network"] for k in (0, -1) if "network" in path[k]])
    return f"principal plane of {len(path)} networks{': ' * bool(ends)}{' … '.join(ends)}"


def axis_label(plane: Mapping[str, Any], axis: int) -> str:
    """Return what an axis is: x or y, and of a plane through one network the direction and its length."""
    letter = "xy"[axis]
    if "directions" not in plane:
        return f"{letter} (Euclidean distance)"
    direction = plane["directions"][axis]
    share = direction.get("explained_variance")
    detail = f"{share:.0%} of the variance" if share is not None else f"in lengths of {direction['length']:.3g}"
    return f"{letter}: {cut_middle(direction['direction'], LONGEST)} ({detail})"


def outside(plane: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], float, float]]:
    """Return the networks that lie outside of the grid, each with the place in it that is nearest."""
    shown = [network for kind in ("networks", "trajectory", "projected") for network in plane.get(kind, ())]
    places = [(as_number(network["x"]), as_number(network["y"])) for network in shown]
    inside = [
        (min(max(x, plane["x"][0]), plane["x"][-1]), min(max(y, plane["y"][0]), plane["y"][-1])) for x, y in places
    ]
    return [
        (network, *near)
        for network, place, near in zip(shown, places, inside, strict=True)
        if near != place and all(map(math.isfinite, place))
    ]
