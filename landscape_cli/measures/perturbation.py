"""What a way to perturb a network says of itself; nothing here imports torch: help texts are made of it.

`choices.Perturbation` registers them; their strengths are options of `landscape flatness` by the names there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from landscape_cli.arguments import check_numbers
from landscape_cli.choices import Perturbation
from landscape_cli.errors import GeometryError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from landscape_cli.network import Params


class WeightPerturbation(ABC):
    """A way to perturb weights at random, whose strength is a number: flatness is how much the error grows.

    Attributes:
        help: what its strengths are, as its option's help says it.
        label: what they are, as a plot says it.
        default: the strengths measured if none are named.
        binary: whether it is one of binary networks, or of continuous ones.
    """

    help: ClassVar[str]
    label: ClassVar[str]
    default: ClassVar[tuple[float, ...]]
    binary: ClassVar[bool] = False

    def __init__(self, name: str) -> None:
        """Keep the name that it is registered by."""
        self.name = name

    @abstractmethod
    def draw(self, tensor: Tensor, generator: torch.Generator) -> Tensor:
        """Return random numbers for a tensor of weights, the same for every strength, on the CPU."""

    def draw_all(self, tensors: Params, generator: torch.Generator) -> Params:
        """Return random numbers for all tensors of a network that are perturbed, by name: those of `draw`."""
        return {name: self.draw(tensor, generator) for name, tensor in tensors.items()}

    @abstractmethod
    def perturb(self, tensor: Tensor, drawn: Tensor, strength: float) -> Tensor:
        """Return a tensor of weights perturbed, in its type; `drawn` is on its device."""

    def direction(self, tensor: Tensor, drawn: Tensor) -> Tensor | None:
        """Return what times the strength is added to a tensor where that perturbs it; None where it is no such sum."""
        return None

    @abstractmethod
    def misfit(self, path: str) -> str:
        """Return why networks of the other kind are not perturbed so."""

    def prepare(self, params: Params, names: Iterable[str]) -> Params:
        """Return the network that is perturbed: the same, with weights that can be."""
        return params

    def is_strength(self, strength: float) -> bool:
        """Tell whether a number is a strength."""
        return 0 <= strength < float("inf")

    @property
    def strengths_in_words(self) -> str:
        """What its strengths must be."""
        return "numbers that are not negative"

    def check(self, strengths: Sequence[float], text: str | None = None) -> None:
        """Check strengths.

        Args:
            strengths: the numbers.
            text: as the user wrote them, if as text.

        Raises:
            GeometryError: if there is none, or one is no strength.
        """
        check_numbers(self.name, strengths, GeometryError)
        if not strengths or not all(map(self.is_strength, strengths)):
            shown = listed_numbers(strengths) if text is None else text
            raise GeometryError(f"`{self.name}=` takes {self.strengths_in_words}, not {shown}")


def perturbations() -> list[WeightPerturbation]:
    """Return all that are registered."""
    return [choice.load()(choice.value) for choice in Perturbation]


def default_perturbation(*, binary: bool) -> WeightPerturbation:
    """Return how networks of a kind are perturbed where nothing is said: the first registered."""
    return next(kind for kind in perturbations() if kind.binary == binary)


def check_suits(kind: WeightPerturbation, path: str, *, binary: bool) -> None:
    """Check that a network can be perturbed so.

    Raises:
        GeometryError: if it is of the other kind, with what to do.
    """
    if kind.binary != binary:
        usual = default_perturbation(binary=binary)
        raise GeometryError(f"{kind.misfit(path)}: use `{usual.name}=` {listed_numbers(usual.default)}")


def listed_numbers(numbers: Iterable[float]) -> str:
    """Return numbers as options take them: separated by commas."""
    return ",".join(f"{number:g}" for number in numbers)
