"""How far apart two networks are, as columns of a result."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from landscape_cli.checkpoint import Checkpoint, Params
    from landscape_cli.symmetry import Symmetry


def distance_columns(
    a: Checkpoint, params_a: Params, b: Checkpoint, params_b: Params, symmetry: Symmetry
) -> dict[str, float | None]:
    """Return the distances between two networks, those along geodesics only if both are normalised.

    Args:
        a: one network.
        params_a: its tensors, on the device to compute on.
        b: the other.
        params_b: its tensors there.
        symmetry: of both.
    """
    from landscape_cli.geometry import distance

    found: dict[str, float | None] = asdict(distance(params_a, params_b, symmetry))
    if a.normalized is None or b.normalized is None:
        found |= {"geodesic": None, "rms_angle": None}
    return found
