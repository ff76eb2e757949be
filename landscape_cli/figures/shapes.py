"""What results of each kind hold, as far as figures read it: they come from files that may hold anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from landscape_cli.errors import ResultError, shown

NUMBER, TEXT, ANY = "number", "text", "any"
"""What a value may be; a number may also be missing (null)."""
LARGEST = 1e300
"""No number of a result is larger: pictures of such have no axes."""
OTHERS = "*"
"""In a mapping: every key that is not named; a name that ends with ? may be missing."""

ROW = {OTHERS: NUMBER}
SPREAD = {"mean": NUMBER, "deviation": NUMBER}
BARRIER = {OTHERS: NUMBER}
BARRIERS = {"loss?": {OTHERS: BARRIER}, OTHERS: BARRIER}
ABOUT = {"provenance?": {"arguments?": {OTHERS: ANY}, "aligned?": {OTHERS: TEXT}, OTHERS: ANY}, "quantity?": TEXT}
MIDPOINT = {"middle?": ROW, OTHERS: ANY}
PATH = ABOUT | {
    "kind": TEXT,
    "start?": TEXT,
    "end?": TEXT,
    "barrier": BARRIERS,
    "midpoint?": MIDPOINT,
    "points": [{"tau": NUMBER, OTHERS: NUMBER}],
}
FAMILIES = ABOUT | {
    "kind": TEXT,
    "summary": [{"families": [TEXT], "pairs": NUMBER, "points": [{"tau": NUMBER, OTHERS: SPREAD}], OTHERS: ANY}],
}
CORNER = {"network": TEXT, "x": NUMBER, "y": NUMBER, "third?": TEXT, OTHERS: ANY}
DIRECTION = {"direction": TEXT, "length": NUMBER, "explained_variance?": NUMBER, OTHERS: ANY}
PLACE = {"x": NUMBER, "y": NUMBER, "network?": TEXT, OTHERS: ANY}
AROUND = {"directions?": [DIRECTION], "trajectory?": [PLACE], "projected?": [PLACE]}
LINE = ABOUT | {
    "networks": [{"network": TEXT, OTHERS: ANY}],
    "directions": [DIRECTION],
    "points": [{"x": NUMBER, OTHERS: NUMBER}],
}
PLANE = ABOUT | AROUND | {"networks": [CORNER], "x": [NUMBER], "y": [NUMBER], "points": [ROW]}
FAMILY_FILES = {OTHERS: [TEXT]}
ENERGY = ABOUT | {
    "families?": FAMILY_FILES,
    "networks": [{"network": TEXT, "quantity?": TEXT, "local_energy": [{OTHERS: ANY}], OTHERS: ANY}],
}
SCORES = {"mean": [NUMBER], "standard_error": [NUMBER], OTHERS: ANY}
WIDTH = {"growth": NUMBER, "angle": NUMBER, OTHERS: ANY}
RADIAL = ABOUT | {
    "networks": [
        {
            "network": TEXT,
            "profiles": [{"direction": TEXT, "angles?": [NUMBER], "factors?": [NUMBER], OTHERS: SCORES}],
            "width?": WIDTH,
            "test_width?": WIDTH,
            "quantity?": TEXT,
            OTHERS: ANY,
        }
    ],
}
CURVATURE = ABOUT | {
    "networks": [
        {
            "network": TEXT,
            "metric": TEXT,
            "eigenvalues": [NUMBER],
            "residuals": [NUMBER],
            "smallest?": NUMBER,
            "trace?": {OTHERS: NUMBER},
            "density?": {"nodes": [[NUMBER]], "weights": [[NUMBER]]},
            OTHERS: ANY,
        }
    ],
}
DISTANCE = ABOUT | {
    "networks": [TEXT],
    "pairs": [{"a": TEXT, "b": TEXT, "family_a?": TEXT, "family_b?": TEXT, OTHERS: NUMBER}],
    "matrix?": {"metric": TEXT, OTHERS: ANY},
}
SUBSPACE = {"dim": NUMBER, "of": NUMBER, "basis": TEXT, OTHERS: ANY}
SCORED = {f"{split}_{score}?": NUMBER for split in ("train", "test") for score in ("error", "loss")}
TRAINED = {"networks": [SCORED | {"network": TEXT, "subspace?": SUBSPACE, OTHERS: ANY}], OTHERS: ANY}
FIGURES = {"max": NUMBER, OTHERS: ANY}
FACET = {"vertices": [TEXT], "loss?": {OTHERS: FIGURES}, OTHERS: FIGURES}
CONNECTOR = ABOUT | {
    "shape": TEXT,
    "geometry": TEXT,
    "networks": [TEXT],
    "facets": [FACET],
    "points?": [{"facet": TEXT, OTHERS: NUMBER}],
    "before?": {OTHERS: ANY},
    "simplex?": {OTHERS: ANY},
}
CONNECTOR_POINTS = ABOUT | {"points": [{"facet": TEXT, OTHERS: NUMBER}]}
LOG = {"points": [{"phase": TEXT, "seed": NUMBER, "epoch": NUMBER, OTHERS: NUMBER}], "provenance?": {OTHERS: ANY}}


def check_shape(value: Any, shape: Any, where: str = "") -> None:
    """Check that a value read from a file is what a figure takes it for.

    Args:
        value: what was read.
        shape: what it should be: NUMBER, TEXT, a list with the shape of its items, a mapping with those of its keys.
        where: what leads to it.

    Raises:
        ResultError: saying which value is none.
    """
    if shape == NUMBER:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        good = value is None or (is_number and abs(value) < LARGEST)
        _check(good, where, f"a number below {LARGEST:g}" if is_number else "a number", value)
    elif shape == TEXT:
        _check(isinstance(value, str), where, "text", value)
    elif isinstance(shape, list):
        _check(isinstance(value, list | tuple), where, "a list", value)
        for k, item in enumerate(value):
            check_shape(item, shape[0], f"{where}[{k}]")
    elif isinstance(shape, Mapping):
        _check(isinstance(value, Mapping), where, "an object", value)
        named = {key.removesuffix("?") for key in shape}
        for key, part in shape.items():
            name = key.removesuffix("?")
            if key != OTHERS and (name in value or not key.endswith("?")):
                _check(name in value, where, f"an object with {name!r}", value)
                check_shape(value[name], part, f"{where}.{name}".lstrip("."))
        for key in value if OTHERS in shape else ():
            if key not in named:
                check_shape(value[key], shape[OTHERS], f"{where}.{key}".lstrip("."))


def _check(good: bool, where: str, what: str, value: Any) -> None:
    if not good:
        of = shown(where) if where else "it"
        raise ResultError(f"{of} should be {what}, and is {shown(repr(value)[:60])}")
