"""A path kind of one's own: straight lines, on which every tensor keeps its length.

The straight line between two networks passes nearer to zero than either of them. Here the direction of each tensor is
the line's, and its norm goes linearly from one end's to the other's.

Its line in `choices.py`: NORMED = "normed", "tests.extending.path_kind:NormedPath"
"""

from __future__ import annotations

from torch import Tensor

from landscape_cli.geometry.linear import linear
from landscape_cli.geometry.path_kind import ParametricPath
from landscape_cli.network import Params


class NormedPath(ParametricPath):
    """Straight lines with the norms of their tensors corrected."""

    def at(self, start: Params, end: Params, tau: float) -> dict[str, Tensor]:
        """Return the network at τ."""
        point = linear(start, end, tau)
        for name, tensor in point.items():
            norm, length = (1 - tau) * start[name].norm() + tau * end[name].norm(), tensor.norm()
            if length > 0:
                point[name] = tensor * (norm / length)
        return point
