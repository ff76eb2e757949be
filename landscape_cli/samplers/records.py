"""What training reports while it goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class EpochRecord:
    """What one run saw in one epoch.

    Attributes:
        seed: of the run.
        phase: "adversarial" for the fit to random labels, else "train".
        epoch: counted from 1.
        learning_rate: at the end of the epoch.
        loss: mean cross-entropy over the epoch's mini-batches and the run's replicas.
        error: fraction of these samples misclassified while training went on.
        gamma: strength of the coupling to a centre in this epoch; None without.
        pull: the fraction of the way to the centre that its last step took; None without.
        spread: mean squared distance of the replicas from their centre; None without.
        solution_error: training error of the solution (as it would be returned, with its batch-norm statistics
            recomputed) after the epoch; None if not measured.
        replica_errors: `error`, for each replica; empty for a single network.
        replica_distances: the distance of each replica from the centre; empty for a single network.
    """

    seed: int
    phase: str
    epoch: int
    learning_rate: float
    loss: float
    error: float
    gamma: float | None = None
    pull: float | None = None
    spread: float | None = None
    solution_error: float | None = None
    replica_errors: tuple[float, ...] = ()
    replica_distances: tuple[float, ...] = ()


@dataclass(frozen=True)
class TrainingObserver:
    """Whom to tell how training goes.

    Attributes:
        start: called with the phase, the number of epochs, the number of steps an epoch, and the step begun at.
        step: called after every step.
        epoch: called after every epoch of every run.
        diverged: called with a run's seed and a line that says what happened, when its loss stops being finite.
        thorough: whether records are to hold the error of a solution that training itself does not look at.
    """

    start: Callable[[str, int, int, int], None] = lambda phase, epochs, steps, done: None
    step: Callable[[], None] = lambda: None
    epoch: Callable[[EpochRecord], None] = lambda record: None
    diverged: Callable[[int, str], None] = lambda seed, line: None
    thorough: bool = False
