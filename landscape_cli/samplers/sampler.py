"""What a sampler is: its settings, and what it changes of the one training loop. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from landscape_cli.samplers.recipe import MOMENTUM, Recipe

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from landscape_cli.data.datasets import Split
    from landscape_cli.network import Params
    from landscape_cli.samplers.context import StepContext
    from landscape_cli.samplers.records import EpochRecord
    from landscape_cli.samplers.stack import Stack


@dataclass(frozen=True)
class Phase:
    """A stretch of training with one recipe; `name` is what the records call it."""

    name: str
    recipe: Recipe


@dataclass(frozen=True)
class Sampler:
    """A way to a solution; as it stands, stochastic gradient descent by the recipe's optimiser.

    See docs/method.md: Samplers.

    A subclass is a frozen dataclass in a file of its own, which imports torch in function bodies only, and is
    registered in `choices.Algorithm`. Its fields are its settings: those made by `options.option` are options of the
    command line too. Its methods are what it does otherwise. It holds no state: what belongs to the state of training
    beside the stack and the optimiser is in `context.state`, tensors by name, which are saved and restored: those
    shaped as the stack's weights, (networks, entries), lie on its device, others on the CPU.

    Attributes:
        summary: what it is, in a few words.
        momentum: of SGD where the recipe says nothing.
        usual_rate: the learning rate where the recipe says nothing; None for that of the optimiser.
        own_schedule: whether it has a schedule of the learning rate in place of the recipe's.
        own_statistics: whether running statistics of batch-norm belong to the weights that are returned.
        uses_gradients: whether a step looks at `stack.gradients` or changes them: if not, they need not be there.
        reports_solution: whether the log should hold the error of the solution.
        one_batch: whether the networks of a run see the same mini-batches.
        revision: of what it does; raised where the same settings come to train otherwise, so that no state of before
            is gone on from.
    """

    summary: ClassVar[str] = "stochastic gradient descent"
    momentum: ClassVar[float] = MOMENTUM
    usual_rate: ClassVar[float | None] = None
    own_schedule: ClassVar[bool] = False
    own_statistics: ClassVar[bool] = True
    uses_gradients: ClassVar[bool] = False
    reports_solution: ClassVar[bool] = False
    one_batch: ClassVar[bool] = False
    revision: ClassVar[int] = 1

    @property
    def networks(self) -> int:
        """How many networks a run trains."""
        return 1

    @property
    def kept(self) -> int:
        """How many of them its solution brings along."""
        return 0

    def snapshots(self, epochs: int) -> tuple[int, ...]:
        """Return after which epochs of a training of so many the observer gets the network, in their order."""
        return ()

    def phases(self, recipe: Recipe, *, binary: bool) -> tuple[Phase, ...]:
        """Return the phases of a training by this recipe, of a binary network or another."""
        return (Phase("train", recipe),)

    def training_set(
        self, phase: str, data: Split, *, classes: int, black: Tensor | None, generator: torch.Generator
    ) -> Split:
        """Return what a run trains on in a phase.

        Args:
            phase: its name.
            data: the training set.
            classes: how many there are.
            black: the standardised value of a zero pixel, shape (channels,), if it is known.
            generator: the run's, of this phase.
        """
        return data

    def begin(self, stack: Stack, data: Sequence[Split], recipe: Recipe) -> dict[str, Tensor]:
        """Return the state with which networks begin to be trained; one training set a run."""
        return {}

    def learning_rate(self, recipe: Recipe, fraction: float) -> float:
        """Return the learning rate after this fraction of the phase."""
        return recipe.rate(fraction)

    def step(self, context: StepContext) -> None:
        """Do one step."""
        context.clear()
        context.backward()
        context.update()

    def end_epoch(self, context: StepContext) -> None:
        """Do what is to be done after an epoch."""

    def strength(self, context: StepContext, run: int) -> float | None:
        """Return the strength γ of a run's coupling in this epoch; None without."""
        return None

    def pull(self, gamma: float, context: StepContext) -> float | None:
        """Return the fraction of the way to the centre that the coupling asks of a step; None where it is not known."""
        return None

    def merge_epoch(self, context: StepContext, run: int) -> int | None:
        """Return after which epoch a run's replicas had merged; None if they have not, or there are none."""
        return None

    def solution(self, context: StepContext, run: int) -> Params:
        """Return a run's network, with whatever statistics there are."""
        return context.stack.centre(run)

    def judged(self, context: StepContext, run: int) -> Iterable[Params]:
        """Yield the networks whose mean training error is a run's: its solution."""
        yield self.solution(context, run)

    def end_phase(self, phase: Phase, records: Sequence[EpochRecord], context: StepContext) -> None:
        """Warn of what a phase did not come to, given the records so far, and how it ended."""
