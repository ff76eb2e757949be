"""How alignments are learned; without torch, so that the command line can show it in its help."""

from __future__ import annotations

from dataclasses import dataclass

from landscape_cli.arguments import check_number, check_whole
from landscape_cli.choices import Relaxation, check_choice
from landscape_cli.errors import GeometryError

LARGEST = 1e6
"""Of rates and temperatures: more is a slip."""
RATES = {Relaxation.SINKHORN: 0.5, Relaxation.STRAIGHT_THROUGH: 0.001}
"""Learning rates of Adam by default: of logits, and of weights."""


@dataclass(frozen=True)
class Learning:
    """How permutations are learned that lower the loss on the path between two networks.

    Attributes:
        epochs: passes over the samples.
        relaxation: what gradients are passed through: "sinkhorn", doubly stochastic matrices (Peña et al., 2023);
            "straight-through", the match to latent weights (Git Re-Basin, Ainsworth et al., 2022, algorithm 3).
        learning_rate: of Adam; by default 0.5 of "sinkhorn", 0.001 of "straight-through".
        batch_size: samples in a mini-batch.
        temperature: of "sinkhorn": what logits are divided by; the lower, the closer to permutations.
    """

    epochs: int = 20
    relaxation: str = Relaxation.SINKHORN.value
    learning_rate: float | None = None
    batch_size: int = 128
    temperature: float = 1.0

    @property
    def rate(self) -> float:
        """The learning rate."""
        return RATES[Relaxation(self.relaxation)] if self.learning_rate is None else self.learning_rate

    def check(self) -> None:
        """Check that it makes sense.

        Raises:
            GeometryError: naming what does not.
        """
        check_choice("`relaxation=`", self.relaxation, Relaxation, GeometryError, joined=" or ")
        check_whole("epochs", self.epochs, GeometryError, least=1)
        check_whole("batch_size", self.batch_size, GeometryError, least=2)
        for name, value in (("learning_rate", self.learning_rate), ("temperature", self.temperature)):
            if value is not None:
                check_number(name, value, GeometryError)
                if not 0 < value <= LARGEST:
                    raise GeometryError(f"`{name}=` must be positive, and at most {LARGEST:g}, not {value:g}")
