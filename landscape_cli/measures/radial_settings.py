"""How far networks are moved away from themselves, and where to (docs/method.md: Angular width)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from landscape_cli.alignment.align import check_method
from landscape_cli.arguments import check_number, check_numbers, check_whole
from landscape_cli.choices import Direction, Method, check_choice
from landscape_cli.errors import GeometryError

ANGLES = tuple(float(angle) for angle in range(5, 65, 5))
FACTORS = (0.5, 0.7, 1.0, 1.4, 2.0)


@dataclass(frozen=True)
class RadialSettings:
    """How far to go, and in which directions.

    Attributes:
        directions: the names of `choices.Direction` that are asked for.
        angles: in degrees, by which every unit turns.
        factors: of all weights.
        samples: how many random directions.
        growth: of the error, at which the angular width is taken.
        align: how networks to go towards are aligned.
    """

    directions: Sequence[str] = (Direction.RANDOM.value,)
    angles: Sequence[float] = ANGLES
    factors: Sequence[float] = FACTORS
    samples: int = 20
    growth: float = 0.1
    align: str = Method.COSINE.value

    def check(self) -> None:
        """Check that they make sense.

        Raises:
            GeometryError: naming one that does not.
        """
        if isinstance(self.directions, str) or not isinstance(self.directions, Sequence):
            raise GeometryError(f"`directions=` takes a list of names, not {self.directions!r}")
        for name in self.directions:
            check_choice("direction", name, Direction, GeometryError, more=", or a network to go towards")
        check_numbers("angles", self.angles, GeometryError)
        rising = all(before < after for before, after in zip((0, *self.angles), self.angles, strict=False))
        if not self.angles or not rising or self.angles[-1] > 180:
            raise GeometryError(
                f"`angles=` takes degrees that rise, from above 0 to at most 180, not {_listed(self.angles)}"
            )
        check_numbers("factors", self.factors, GeometryError)
        if not self.factors or not all(0 < factor < math.inf for factor in self.factors):
            raise GeometryError(f"`factors=` takes positive numbers, not {_listed(self.factors)}")
        check_whole("samples", self.samples, GeometryError, least=1)
        check_number("growth", self.growth, GeometryError)
        if not 0 < self.growth <= 1:
            raise GeometryError(f"`growth=` takes a fraction of samples, above 0 and at most 1, not {self.growth:g}")
        check_method(self.align)


def _listed(numbers: Sequence[float]) -> str:
    return ",".join(f"{number:g}" for number in numbers) or "none"
