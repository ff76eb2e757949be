"""What training reports while it goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from landscape_cli.arguments import check_kind, check_whole
from landscape_cli.errors import TrainingError

if TYPE_CHECKING:
    from landscape_cli.network import Params
    from landscape_cli.samplers.subspace import Displacement


@dataclass(frozen=True)
class EpochRecord:
    """What one run saw in one epoch.

    Attributes:
        seed: of the run.
        phase: "adversarial" for the fit to random labels, else "train".
        epoch: counted from 1.
        learning_rate: at the end of the epoch.
        loss: mean loss over the epoch's mini-batches and the run's replicas.
        error: fraction of these samples, or decisions, that were wrong while training went on; None where the objective
            has no error.
        gamma: strength of the coupling to a centre in this epoch; None without.
        pull: the fraction of the way to the centre that the coupling asks of its last step, before momentum and
            clipping; None without.
        spread: mean squared distance of the replicas from their centre; None without.
        solution_error: training error of the solution (as it would be returned, with its batch-norm statistics
            recomputed) after the epoch; None if not measured.
        replica_errors: `error`, for each replica; empty for a single network.
        replica_distances: the distance of each replica from the centre; empty for a single network.
        merge_epoch: after which epoch the replicas had merged; None if they have not.
    """

    seed: int
    phase: str
    epoch: int
    learning_rate: float
    loss: float
    error: float | None
    gamma: float | None = None
    pull: float | None = None
    spread: float | None = None
    solution_error: float | None = None
    replica_errors: tuple[float, ...] = ()
    replica_distances: tuple[float, ...] = ()
    merge_epoch: int | None = None


@dataclass(frozen=True, eq=False)
class EpochNetwork:
    """A run's network as it was after an epoch: what training would have returned, had it ended there.

    Attributes:
        seed: of the run.
        epoch: of the last phase, counted from 1; 0 for the network that the phase began with.
        snapshot: which of its sampler's snapshots it is, counted from 1; None if it is none.
        params: the network.
        subspace: how far it came, if it trains in a subspace.
    """

    seed: int
    epoch: int
    snapshot: int | None
    params: Params = field(repr=False)
    subspace: Displacement | None = None


@dataclass(frozen=True)
class TrainingObserver:
    """Whom to tell how training goes.

    Attributes:
        start: called with the phase, the number of epochs, the number of steps an epoch, and the step begun at.
        step: called after every step.
        epoch: called after every epoch of every run.
        diverged: called with a run's seed and a line that says what happened, when its loss stops being finite.
        thorough: whether records are to hold the error of a solution that training itself does not look at.
        network: called with a run's network after each of `keep_epochs`, and with each snapshot where the sampler
            keeps them. A training that is resumed takes those alone that come after the state it goes on from.
        keep_epochs: after which epochs of the last phase a network is wanted; 0 for the one that it begins with.
    """

    start: Callable[[str, int, int, int], None] = lambda phase, epochs, steps, done: None
    step: Callable[[], None] = lambda: None
    epoch: Callable[[EpochRecord], None] = lambda record: None
    diverged: Callable[[int, str], None] = lambda seed, line: None
    thorough: bool = False
    network: Callable[[EpochNetwork], None] = lambda network: None
    keep_epochs: Sequence[int] = ()


def check_keep_epochs(epochs: Sequence[int], last: int) -> None:
    """Check after which epochs networks are wanted.

    Args:
        epochs: counted from 1; 0 for the beginning.
        last: the last that there is.

    Raises:
        TrainingError: if one is none of this training's, or is named twice.
    """
    check_kind("keep_epochs", epochs, Sequence, "give a list of epochs, as in [0, 5, 10]", TrainingError)
    for epoch in epochs:
        check_whole("keep_epochs", epoch, TrainingError, least=0)
        if epoch > last:
            raise TrainingError(f"`keep_epochs=` names epoch {epoch}, and training ends with epoch {last}")
        if list(epochs).count(epoch) > 1:
            raise TrainingError(f"`keep_epochs=` names epoch {epoch} twice: name it once")
