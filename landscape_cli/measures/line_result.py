"""What was measured along a line through one network (docs/method.md: Surroundings)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from landscape_cli.evaluation.scores import ERROR, Quantity
from landscape_cli.io.results import finite


@dataclass(frozen=True)
class LineResult:
    """What was measured along a line through one network.

    Attributes:
        network: its name: its file, or a.
        direction: what is known of the direction: what it is, its length, eigenvalue, …
        points: a row for each: `x`, in units of the direction, `train_error`, … (NaN where outputs are).
        scores: the same columns of the network itself.
        trajectory: of the networks whose principal direction it is, in order, where they lie (`x`, and `distance` from
            the line), and the same columns.
        on_torus: whether units turn on their spheres.
        quantity: what the line is of: the error, or the loss where there is no error.
    """

    network: str
    direction: Mapping[str, Any]
    points: tuple[Mapping[str, float], ...]
    scores: Mapping[str, float]
    trajectory: tuple[Mapping[str, Any], ...] = ()
    on_torus: bool = False
    quantity: Quantity = ERROR

    def to_dict(self) -> dict[str, Any]:
        """Return the body of the result of `landscape path` with a direction, missing errors being None."""
        about: dict[str, Any] = {"kind": "line"} | self.quantity.about() | ({"on_torus": True} if self.on_torus else {})
        networks = [{"network": self.network, "x": 0.0, **self.scores}]
        more = {"trajectory": self.trajectory} if self.trajectory else {}
        body = {"networks": networks, "directions": [self.direction]} | more | {"points": self.points}
        return dict(finite(about | body))
