"""Which kind results are of, and what draws that; whether they are whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from landscape_cli.choices import Perturbation
from landscape_cli.errors import ResultError
from landscape_cli.figures import shapes
from landscape_cli.figures.shapes import check_shape

Body = Mapping[str, Any]


class Kind(NamedTuple):
    """A kind of results.

    Attributes:
        name: what a message calls it.
        is_one: tells whether a result is of it, by its keys.
        shape: what it holds.
        home: the function that draws it.
        several: whether that takes several.
        check: raises what a shape does not say.
    """

    name: str
    is_one: Callable[[Body], bool]
    shape: Any
    home: str
    several: bool = True
    check: Callable[[Body], None] = lambda body: None


def _of_networks(key: str) -> Callable[[Body], bool]:
    """Return what tells results by a key of their networks."""

    def is_one(body: Body) -> bool:
        networks = body.get("networks")
        return isinstance(networks, list) and bool(networks) and isinstance(networks[0], Mapping) and key in networks[0]

    return is_one


def _of_rows(*keys: str) -> Callable[[Body], bool]:
    """Return what tells results by the columns of their rows."""

    def is_one(body: Body) -> bool:
        rows = body.get("points")
        return isinstance(rows, list) and bool(rows) and isinstance(rows[0], Mapping) and set(keys) <= set(rows[0])

    return is_one


def _check_points(body: Body) -> None:
    _check(bool(body["points"]), "it has no points")


def _check_plane(body: Body) -> None:
    xs, ys = body["x"], body["y"]
    even = len(xs) > 1 and len(ys) > 1 and len(body["points"]) == len(xs) * len(ys)
    _check(even, "its points are no grid of its x and y")
    _check(None not in [*xs, *ys] and _ascend(xs) and _ascend(ys), "its x and y do not ascend")
    _check(all(None not in (corner["x"], corner["y"]) for corner in body["networks"]), "a network of it lies nowhere")
    _check(len(body.get("directions", "xy")) > 1, "it has not two directions")
    lengths = [direction["length"] for direction in body.get("directions", ())]
    _check(None not in lengths, "a direction of it has no length")
    scored = any(name.startswith(("train_", "test_")) for name in body["points"][0])
    _check(scored, "its points have neither error nor loss")


def _ascend(values: Sequence[float]) -> bool:
    return all(a < b for a, b in pairwise(values))


def _check_energy(body: Body) -> None:
    rows = [row for network in body["networks"] for row in network["local_energy"]]
    kinds = [name for name in (choice.value for choice in Perturbation) if rows and name in rows[0]]
    _check(bool(kinds), "it has no strengths")
    needed = {f"{part}_{name}" for part in ("train", "test") for name in ("energy", "standard_error")}
    for row in rows:
        check_shape({name: value for name, value in row.items() if name in needed | set(kinds)}, shapes.ROW)
        _check(row.get(kinds[0]) is not None, f"a row of it has no {kinds[0]}")
    _check(all(network["local_energy"] for network in body["networks"]), "a network of it has no energy")


def _check_radial(body: Body) -> None:
    for network in body["networks"]:
        for profile in network["profiles"]:
            _check(("angles" in profile) != ("factors" in profile), "a profile of it has neither angles nor factors")
            strengths = profile.get("angles", profile.get("factors"))
            _check(None not in strengths, "a profile of it lacks an angle or factor")
            scores = [value for value in profile.values() if isinstance(value, Mapping)]
            sizes = {len(value[key]) for value in scores for key in ("mean", "standard_error")}
            _check(sizes == {len(strengths)}, "a profile of it has not a number for each angle or factor")


def _check_curvature(body: Body) -> None:
    for network in body["networks"]:
        _check(len(network["eigenvalues"]) == len(network["residuals"]), "it has not a residual for each eigenvalue")
        density = network.get("density") or {"nodes": [], "weights": []}
        even = list(map(len, density["nodes"])) == list(map(len, density["weights"]))
        _check(even and all(None not in each for key in density.values() for each in key), "its density is not whole")
        _check(network["metric"] in {"relative", "euclidean"}, "its metric is none that is known")


def _check_pairs(body: Body) -> None:
    _check(bool(body["pairs"]), "it has no pairs")
    if "matrix" in body:
        _check(body["matrix"]["metric"] in body["pairs"][0], "its matrix is of no distance that it has")


def _check_families(body: Body) -> None:
    _check(bool(body["summary"]) and all(entry["points"] for entry in body["summary"]), "it has no points")


def _check_facets(body: Body) -> None:
    _check(bool(body["facets"]), "it has no facets")
    for row in body.get("points", ()):
        _check(all(row["facet"].split("-")), "a point of it is of no facet")


def _check_places(body: Body) -> None:
    for row in body["points"]:
        names = row["facet"].split("-")
        weights = [row.get(f"weight_{k}") for k in range(1, 1 + len(names))]
        _check(all(names) and None not in weights, "a point of it is of no facet")
        _check(
            set("".join(names)) <= set("abc"), "its points alone are drawn of three networks; of more plot its .json"
        )


def _check_subspaces(body: Body) -> None:
    inside = [network["subspace"] for network in body["networks"] if "subspace" in network]
    _check(all(None not in (each["dim"], each["of"]) and each["dim"] > 0 for each in inside), "a subspace has no size")


def _check(good: bool, why: str) -> None:
    if not good:
        raise ResultError(why)


def _check_line(body: Body) -> None:
    _check(bool(body["points"] and body["networks"] and body["directions"]), "it has no points, network or direction")


KINDS = (
    Kind(
        "connector", lambda body: "facets" in body, shapes.CONNECTOR, "connector:connector_figure", False, _check_facets
    ),
    Kind(
        "paths of families",
        lambda body: "summary" in body and "kind" in body,
        shapes.FAMILIES,
        "families:families_figure",
        True,
        _check_families,
    ),
    Kind(
        "plane", lambda body: {"x", "y", "points"} <= set(body), shapes.PLANE, "plane:plane_figure", False, _check_plane
    ),
    Kind("line", lambda body: body.get("kind") == "line", shapes.LINE, "line:line_figure", False, _check_line),
    Kind(
        "path",
        lambda body: {"kind", "points", "barrier"} <= set(body),
        shapes.PATH,
        "path:path_figure",
        True,
        _check_points,
    ),
    Kind("local energy", _of_networks("local_energy"), shapes.ENERGY, "flatness:flatness_figure", True, _check_energy),
    Kind("radial profiles", _of_networks("profiles"), shapes.RADIAL, "radial:radial_figure", True, _check_radial),
    Kind(
        "curvature", _of_networks("eigenvalues"), shapes.CURVATURE, "curvature:curvature_figure", True, _check_curvature
    ),
    Kind(
        "distances",
        lambda body: {"networks", "pairs"} <= set(body),
        shapes.DISTANCE,
        "distance:distance_figure",
        True,
        _check_pairs,
    ),
    Kind(
        "training in subspaces",
        _of_networks("algo"),
        shapes.TRAINED,
        "subspace:subspace_figure",
        True,
        _check_subspaces,
    ),
    Kind("training log", _of_rows("epoch", "loss", "phase"), shapes.LOG, "training:training_figure"),
    Kind(
        "connector",
        _of_rows("facet", "weight_1"),
        shapes.CONNECTOR_POINTS,
        "connector:connector_figure",
        False,
        _check_places,
    ),
)
"""In the order in which a result is held against them."""


def kind_of_results(results: Sequence[Any]) -> tuple[Kind, list[Body]]:
    """Return of which kind results are, and what they hold, which is checked.

    Raises:
        ResultError: if one is no result, or they cannot be drawn together.
    """
    bodies = [_body(result) for result in results]
    _check(bool(bodies), "there is nothing to draw: name a result")
    kinds = [next((kind for kind in KINDS if kind.is_one(body)), None) for body in bodies]
    first = kinds[0]
    for kind, body in zip(kinds, bodies, strict=True):
        if kind is None:
            _check(
                not {"points"} <= body.keys() <= {"points", "provenance"},
                "of rows alone no picture is made: name the JSON",
            )
            raise ResultError(
                "it is no result that can be drawn: those of path, plane, flatness, distance are, of training in "
                "subspaces, and logs"
            )
        _check(first is not None and kind.home == first.home, f"{first and first.name} and {kind.name} are two figures")
        check_shape(body, kind.shape)
        kind.check(body)
    assert first is not None
    _check(first.several or len(bodies) == 1, f"one {first.name} is drawn at a time: name one result")
    return first, bodies


def _body(result: Any) -> Body:
    """Return what a result holds; of a connector with its points, of one network as one of several."""
    body = result.to_dict() if hasattr(result, "to_dict") else result
    _check(isinstance(body, Mapping), "it is no result")
    if "facets" in body and hasattr(result, "rows"):
        from landscape_cli.io.results import finite

        body = {**body, "points": finite(result.rows)}
    if {"local_energy", "profiles", "eigenvalues", "algo"} & set(body):
        body = {"networks": [{"network": "network", **body}]}
    return dict(body)


def check_is_plane(kind: Kind) -> None:
    """Check that results are of a plane, which alone is a surface.

    Raises:
        ResultError: if they are not.
    """
    _check(kind.shape is shapes.PLANE, f"a surface is of a plane, and this is a result of the kind {kind.name}")
