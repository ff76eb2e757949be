"""How long, how fast and by which optimiser a stack is trained; nothing here imports torch.

See docs/method.md: Samplers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from landscape_cli.arguments import check_numbers, check_settings
from landscape_cli.choices import Augment, Optimizer, Precision, Schedule, check_choice
from landscape_cli.errors import TrainingError

LEARNING_RATES = {"sgd": 0.02, "adam": 0.001}
# A step has to take latent weights across zero: rates from 3 to 100 (adam: 0.03 to 0.3) measured alike.
BINARY_RATES = {"sgd": 20.0, "adam": 0.05}
# Adam's is one of a random subspace's coordinates, each of many weights: 0.02 to 0.3 measured alike.
SUBSPACE_RATES = {"sgd": 0.3, "adam": 0.1}
MOMENTUM = 0.9


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes:
        epochs: passes over the training set.
        learning_rate: at the start; None for the optimiser's usual one (`LEARNING_RATES`, or `BINARY_RATES` for a
            binary network, `SUBSPACE_RATES` in a subspace).
        momentum: Nesterov momentum; 0 for plain SGD; None for the sampler's usual one. Adam has its own.
        batch_size: samples in a mini-batch.
        until_error: stop once the training error is this low; None to run all epochs.
        optimizer: "sgd" or "adam"; None for the usual one: sgd, in a subspace adam.
        schedule: how the learning rate falls: "cosine" to zero, "constant", or "step" by `decay` at `milestones`.
        milestones: fractions of the training after which "step" multiplies the learning rate.
        decay: by what it multiplies.
        weight_decay: coefficient of the L2 penalty in the gradient.
        clip_norm: the largest Euclidean norm of a network's gradient, which longer ones are cut to; None for any.
        augment: how images are changed at random while training: "off", "crop", "flip" or "crop+flip".
        precision: of the forward and backward pass: "float32", "tf32" or "bf16" (weights stay in float32).

    Raises:
        TrainingError: if a setting is impossible.
    """

    epochs: int = 100
    learning_rate: float | None = None
    momentum: float | None = None
    batch_size: int = 128
    until_error: float | None = None
    optimizer: str | None = None
    schedule: str = Schedule.COSINE
    milestones: tuple[float, ...] = (0.5, 0.75)
    decay: float = 0.1
    weight_decay: float = 0.0
    clip_norm: float | None = None
    augment: str = Augment.OFF
    precision: str = Precision.FLOAT32

    def __post_init__(self) -> None:
        check_settings(self, TrainingError)
        check_numbers("milestones", self.milestones, TrainingError)
        if self.epochs < 1 or self.batch_size < 1:
            raise TrainingError("the numbers of epochs and of samples in a batch must be at least 1")
        rate = self.learning_rate
        if rate is not None and not (math.isfinite(rate) and rate > 0):
            raise TrainingError(f"`learning_rate=` must be a positive number, and is {rate}")
        if self.momentum is not None and not 0 <= self.momentum < 1:
            raise TrainingError(f"`momentum=` must be at least 0 and below 1, and is {self.momentum}")
        if self.optimizer is not None:
            check_choice("optimiser", self.optimizer, Optimizer, TrainingError)
        check_choice("schedule", self.schedule, Schedule, TrainingError)
        check_choice("precision", self.precision, Precision, TrainingError)
        check_choice("augmentation", self.augment, Augment, TrainingError)
        if self.momentum is not None and self.optimizer == Optimizer.ADAM:
            raise TrainingError("`momentum=` is for `optimizer=` sgd: adam has its own")
        self._check_numbers()

    def _check_numbers(self) -> None:
        if not all(0 < milestone < 1 for milestone in self.milestones) or not 0 < self.decay <= 1:
            raise TrainingError("milestones are fractions between 0 and 1, and the decay lies above 0 and at most at 1")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise TrainingError(f"the weight decay must not be negative, and is {self.weight_decay}")
        if self.clip_norm is not None and not (math.isfinite(self.clip_norm) and self.clip_norm > 0):
            raise TrainingError(f"the norm to clip gradients to must be positive, and is {self.clip_norm}")

    @property
    def initial_rate(self) -> float:
        """The learning rate at the start, whether it was given or not."""
        usual = LEARNING_RATES[self.optimizer or Optimizer.SGD]
        return usual if self.learning_rate is None else self.learning_rate

    def with_defaults(
        self,
        *,
        momentum: float = MOMENTUM,
        usual_rate: float | None = None,
        binary: bool = False,
        subspace: bool = False,
    ) -> Recipe:
        """Return the recipe with what it leaves open.

        Args:
            momentum: the sampler's.
            usual_rate: the sampler's learning rate, if it has one of its own.
            binary: whether the model is a binary network.
            subspace: whether training is confined to a subspace.

        Raises:
            TrainingError: if momentum is given, and the usual optimiser is adam.
        """
        optimizer = self.optimizer or (Optimizer.ADAM if subspace else Optimizer.SGD)
        rates = SUBSPACE_RATES if subspace else BINARY_RATES if binary else LEARNING_RATES
        usual = rates[optimizer] if usual_rate is None else usual_rate
        rate = usual if self.learning_rate is None else self.learning_rate
        takes_momentum = self.momentum is None and optimizer == Optimizer.SGD
        given = momentum if takes_momentum else self.momentum
        return replace(self, optimizer=optimizer, learning_rate=rate, momentum=given)

    def suited(self, *, has_error: bool) -> Recipe:
        """Return the recipe for an objective with an error or without: there, an error of zero is not waited for."""
        return self if has_error or self.until_error != 0 else replace(self, until_error=None)

    def rate(self, fraction: float) -> float:
        """Return the learning rate after this fraction of the training."""
        if self.schedule == Schedule.CONSTANT:
            return self.initial_rate
        if self.schedule == Schedule.STEP:
            return self.initial_rate * self.decay ** sum(fraction >= milestone for milestone in self.milestones)
        return self.initial_rate * (1 + math.cos(math.pi * fraction)) / 2
