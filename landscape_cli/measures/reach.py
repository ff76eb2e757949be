"""From where to where lines and planes go: as far as networks lie on them, or until the error has grown.

See docs/method.md: Surroundings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from landscape_cli.choices import LineDirection

FARTHEST = 10
"""How many times 1 is doubled, or halved, in search of growth."""
LEAST_ASPECT = 0.5
"""How long the shorter axis of a principal plane is, of the longer."""
BISECTIONS = 3
"""How many times what lies between is halved, by ratio: to within a factor of 2^(1/8)."""


def usual_limits(
    names: Sequence[str], places: Sequence[Mapping[str, float]], margin: float
) -> list[tuple[float, float]]:
    """Return a range for each axis that holds the networks that lie there: -1 to 1 of random directions and slopes.

    Args:
        names: of the directions, an axis each; what is no `LineDirection` is a network at coordinate 1.
        places: `x` and `y` of networks that are shown.
        margin: round them, as a fraction of their extent.
    """
    limits = []
    named = set(LineDirection)
    for name, axis in zip(names, "xy", strict=False):
        shown = [0.0, *(place[axis] for place in places), *([] if name in named else [1.0])]
        low, high = min(shown), max(shown)
        edge = margin * (high - low)
        least = 1.0 if name in named - {LineDirection.PCA} else 0.0
        limits.append((min(-least, low - edge), max(least, high + edge)))
    if LineDirection.PCA in names:  # whose axes have one unit: a plane is no strip
        widest = max(high - low for low, high in limits)
        lacking = [max(0.0, LEAST_ASPECT * widest - (high - low)) / 2 for low, high in limits]
        limits = [(low - more, high + more) for (low, high), more in zip(limits, lacking, strict=True)]
    return limits


@dataclass
class _Ray:
    """What is known of one sense of one axis: where the error has not grown yet, and where it has.

    Attributes:
        below: the farthest place known at which it has not; None if there is none yet.
        above: the nearest at which it has.
    """

    below: float | None = None
    above: float | None = None

    def next(self) -> float | None:
        """Return where to look next; None where the search ends."""
        if self.above is None:
            return 1.0 if self.below is None else self.below * 2 if self.below < 2**FARTHEST else None
        if self.below is None:
            return self.above / 2 if self.above > 2**-FARTHEST else None
        return (self.below * self.above) ** 0.5 if self.above > self.below * 2 ** (1.5 / 2**BISECTIONS) else None

    def learn(self, place: float, *, grown: bool) -> None:
        """Take note of one place."""
        if grown:
            self.above = place
        else:
            self.below = place


def find_reach(
    measured: Callable[[Sequence[tuple[int, float]]], Tensor], axes: int, level: float
) -> list[tuple[float, bool]]:
    """Return how far the error is below a level on both sides of every axis, by doubling and bisection.

    Args:
        measured: returns the error at places, each an axis and a coordinate, shape (places,); NaN counts as grown.
        axes: how many there are.
        level: that of the error.

    Returns:
        For the negative and then the positive side of each axis the coordinate, without its sign, at which the error
        has reached the level, to within a factor of 2^(1/8), and whether it has: at 2^10 the search ends.
    """
    rays = [_Ray() for _ in range(2 * axes)]
    while True:
        places = [(k, place) for k, ray in enumerate(rays) if (place := ray.next()) is not None]
        if not places:
            return [(ray.above or 2.0**FARTHEST, ray.above is not None) for ray in rays]
        values = measured([(k // 2, place if k % 2 else -place) for k, place in places])
        for (k, place), value in zip(places, torch.atleast_1d(values).tolist(), strict=True):
            rays[k].learn(place, grown=not value < level)
