"""What distinguishes the samplers within the one training loop: SGD is the plainest."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from landscape_cli.data.datasets import Split
from landscape_cli.network import Params
from landscape_cli.samplers.recipe import Recipe
from landscape_cli.samplers.stack import Stack


class Work(Protocol):
    """One step of the training loop, as a method sees it.

    Attributes:
        stack: the networks.
        recipe: how to train.
        active: for each run, whether it still is.
        epoch: counted from 0.
        step: counted from 0 within the epoch.
        steps: how many an epoch has.
        rate: the learning rate of this step, as `Method.rate` gives it.
    """

    stack: Stack
    recipe: Recipe
    active: list[bool]
    epoch: int
    step: int
    steps: int
    rate: float

    @property
    def which(self) -> list[int]:
        """The networks still training."""

    def clear(self) -> None:
        """Set all gradients to zero."""

    def backward(self, share: float = 1.0, *, again: bool = False) -> None:
        """Add the gradients of `share` times each network's loss on this step's mini-batch.

        With `again`, the batch is seen a second time: neither statistics nor the log count it.
        """

    def update(self, factor: float = 1.0) -> None:
        """Let the optimiser take its step, at `factor` times the learning rate."""

    def noise(self, k: int) -> Tensor:
        """Return standard normal numbers for network k, shape (places,): the same at each call within a step."""

    def forget(self) -> None:
        """Let the optimiser forget its momenta."""


class Method:
    """Stochastic gradient descent; subclasses change what a step does and what is returned (SPEC 8).

    Attributes:
        state: tensors that belong to the state of training, beside the stack and the optimiser.
        own_statistics: whether running statistics of batch-norm belong to the weights that are returned.
        reports_solution: whether the log should hold the error of the solution.
        uses_gradients: whether a step looks at `stack.gradients` or changes them: if not, they need not be there.
    """

    own_statistics = True
    uses_gradients = False
    reports_solution = False

    def __init__(self) -> None:
        self.state: dict[str, Tensor] = {}

    def begin(self, stack: Stack, data: list[Split], recipe: Recipe) -> None:
        """Prepare `state` for training these networks from the start; one training set a run."""
        self.state = {}

    def rate(self, recipe: Recipe, fraction: float) -> float:
        """Return the learning rate after this fraction of the training."""
        return recipe.rate(fraction)

    def step(self, work: Work) -> None:
        """Do one step."""
        work.clear()
        work.backward()
        work.update()

    def end_epoch(self, work: Work) -> None:
        """Do what is to be done after an epoch."""

    def strength(self, run: int, recipe: Recipe, epoch: int) -> float | None:
        """Return the strength γ of a run's coupling in an epoch; None without."""
        return None

    def pull(self, gamma: float, rate: float) -> float:
        """Return the fraction of the way to the centre that a step takes at a learning rate."""
        return 0.0

    def solution(self, stack: Stack, run: int) -> Params:
        """Return a run's network, with whatever statistics there are."""
        return stack.centre(run)
