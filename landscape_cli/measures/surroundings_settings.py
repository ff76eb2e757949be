"""Which lines and planes through a network are measured; no torch (docs/method.md: Surroundings)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from landscape_cli.arguments import check_kind, check_number
from landscape_cli.choices import DirectionNorm, LineDirection, check_choice
from landscape_cli.errors import GeometryError

AUTO = "auto"
"""In place of a range: as far as the error grows by some amount."""
GROWTH = 0.1
"""By how much, where nothing is said."""
NAMES = tuple(direction.value for direction in LineDirection)
SLOPES = (LineDirection.GRADIENT, LineDirection.HESSIAN)
SEVERAL = (LineDirection.RANDOM, LineDirection.HESSIAN, LineDirection.PCA)
"""Of which there are more than one."""


@dataclass(frozen=True)
class SurroundingsSettings:
    """Along which directions networks lie, and how far.

    Attributes:
        directions: of `LineDirection` by name, or names of networks that lie that way.
        axes: how many directions are to come out: 1 of a line, 2 of a plane.
        normalize: how long directions are: by default random ones as the network, by filters, slopes of length 1, and
            ways to networks as long as the way, which they are with "none" too.
        limits: the coordinates at which all axes end, (low, high), or two for each, in units of the directions;
            "auto", where the error has grown; by default (-1, 1), along ways to networks as far as these.
        growth: of the error, for "auto".
        on_torus: whether every row that is a unit's keeps its length.
        all_parameters: whether biases and norm layers move, too.
        named_by: the parameter that names the directions, for messages.

    Raises:
        GeometryError: if one makes no sense.
    """

    directions: Sequence[str] = (LineDirection.RANDOM.value,)
    axes: int = 2
    normalize: DirectionNorm | str | None = None
    limits: Sequence[float] | str | None = None
    growth: float | None = None
    on_torus: bool = False
    all_parameters: bool = False
    named_by: str = "directions"

    def __post_init__(self) -> None:
        if isinstance(self.directions, str) or not isinstance(self.directions, Sequence) or not self.directions:
            raise GeometryError(f"`{self.named_by}=` is a list of names, such as ['random'], not {self.directions!r}")
        if self.normalize is not None:
            check_choice("`normalize_directions=`", self.normalize, DirectionNorm, GeometryError)
        for name in ("on_torus", "all_parameters"):
            check_kind(name, getattr(self, name), bool, "give True or False", GeometryError)
        self._check_limits()
        if self.growth is not None:
            check_number("growth", self.growth, GeometryError)
            if self.limits != AUTO:
                raise GeometryError("`growth=` goes with `limits=` auto")
            if self.growth <= 0:
                raise GeometryError(f"`growth=` must be above 0, and is {self.growth:g}")
        self._check_directions()

    def asked(self, name: str) -> DirectionNorm | None:
        """Return how long a direction is to be; None for the length that it has."""
        usual: dict[str, DirectionNorm] = {LineDirection.RANDOM: DirectionNorm.FILTER}
        usual |= dict.fromkeys(SLOPES, DirectionNorm.NONE)
        asked = usual.get(name) if self.normalize is None else DirectionNorm(self.normalize)
        return None if asked is DirectionNorm.NONE and name not in usual else asked

    @property
    def counts(self) -> dict[str, int]:
        """How many axes each direction gives: one that is named alone all of them."""
        names = list(self.directions)
        if len(names) == 1 and names[0] in SEVERAL:
            names *= self.axes
        return {name: names.count(name) for name in dict.fromkeys(names)}

    @property
    def needs_symmetry(self) -> bool:
        """Whether weights and their units are to be told from the rest."""
        lengths = {self.asked(name) for name in self.directions}
        by_weights = not self.all_parameters and any(self.moves_weights(name) for name in self.directions)
        return self.on_torus or by_weights or bool(lengths & {DirectionNorm.FILTER, DirectionNorm.LAYER})

    def moves_weights(self, name: str) -> bool:
        """Tell whether a direction is one of weights, and not all that networks differ in."""
        return self.asked(name) is not None

    def _check_limits(self) -> None:
        limits: Any = self.limits
        if limits is None or limits == AUTO:
            return
        what = "two numbers, low and high, or two for each axis, or auto"
        if isinstance(limits, str) or not isinstance(limits, Sequence) or len(limits) not in {2, 2 * self.axes}:
            raise GeometryError(f"`limits=` is {what}, not {limits!r}")
        for limit in limits:
            check_number("limits", limit, GeometryError)
        if not all(low < high for low, high in zip(limits[::2], limits[1::2], strict=True)):
            raise GeometryError(f"`limits=` goes from lower numbers to higher ones, not {', '.join(map(str, limits))}")

    def _check_directions(self) -> None:
        counts = self.counts
        for name, count in counts.items():
            if count > 1 and name not in SEVERAL:
                raise GeometryError(f"`{self.named_by}=` names {name} twice, which is one direction")
        total = sum(counts.values())
        if LineDirection.PCA in counts and len(counts) > 1:
            raise GeometryError(f"`{self.named_by}=` pca gives all axes: leave out the others")
        if LineDirection.PCA in counts and self.asked(LineDirection.PCA) is not None:
            raise GeometryError(f"`{self.named_by}=` pca is where the networks lie: leave out `normalize_directions=`")
        if total != self.axes:
            what = "a plane takes two directions" if self.axes > 1 else "a line takes one direction"
            few = "; one alone gives both if it is random, hessian or pca" if total < self.axes else ""
            raise GeometryError(f"{what}, and {total} {'is' if total == 1 else 'are'} named{few}")
