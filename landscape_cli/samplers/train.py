"""Training from start to end: a sampler's phases on a stack of runs, which can be interrupted and resumed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from landscape_cli.data.datasets import Split
from landscape_cli.errors import TrainingError
from landscape_cli.network import ModelSpec, Params
from landscape_cli.rng import generator
from landscape_cli.samplers.adversarial import Adversarial, corrupt, warn_unless_learnt
from landscape_cli.samplers.flat import (
    Averaging,
    EntropySGD,
    LocalEntropy,
    Sharpness,
    SharpnessAware,
    WeightAverage,
)
from landscape_cli.samplers.loop import Loop
from landscape_cli.samplers.method import Method
from landscape_cli.samplers.recipe import Recipe
from landscape_cli.samplers.records import EpochRecord, Watcher
from landscape_cli.samplers.replicated import Replicated, Replication
from landscape_cli.samplers.stack import Stack
from landscape_cli.samplers.state import State, records_of, restore, state_of
from landscape_cli.samplers.streams import CORRUPTION, initial_params


@dataclass(frozen=True)
class Phase:
    """A stretch of training with one recipe.

    Attributes:
        name: what the records call it.
        recipe: how to train.
        method: makes the method.
        corruption: of the training set, for ADV's first phase; None to train on it as it is.
    """

    name: str
    recipe: Recipe
    method: Callable[[], Method] = Method
    corruption: Adversarial | None = None


@dataclass(frozen=True)
class Sampler:
    """A way to a solution: its phases, and how many networks each run trains."""

    phases: tuple[Phase, ...]
    replicas: int = 1


@dataclass(frozen=True)
class Solution:
    """What one run came to.

    Attributes:
        seed: of the run.
        params: the network; None if the run diverged.
        replicas: the networks it is the centre of, with their own statistics; empty for samplers without.
        epochs: how many it trained in the last phase, up to where it diverged.
    """

    seed: int
    params: Params | None
    replicas: tuple[Params, ...] = field(default=(), repr=False)
    epochs: int = 0


def sgd(recipe: Recipe) -> Sampler:
    """Return plain training with the recipe's optimiser."""
    return Sampler((Phase("train", recipe),))


def rsgd(recipe: Recipe, settings: Replication) -> Sampler:
    """Return replicated training (Pittorino et al., 2021)."""
    return Sampler((Phase("train", recipe, lambda: Replicated(settings)),), settings.replicas)


def adv(recipe: Recipe, settings: Adversarial) -> Sampler:
    """Return training from an adversarial initialisation (Liu et al., 2020)."""
    return Sampler((Phase("adversarial", settings.recipe, corruption=settings), Phase("train", recipe)))


def sam(recipe: Recipe, settings: Sharpness) -> Sampler:
    """Return sharpness-aware minimisation (Foret et al., 2021)."""
    return Sampler((Phase("train", recipe, lambda: SharpnessAware(settings)),))


def swa(recipe: Recipe, settings: Averaging) -> Sampler:
    """Return stochastic weight averaging (Izmailov et al., 2018)."""
    return Sampler((Phase("train", recipe, lambda: WeightAverage(settings)),))


def esgd(recipe: Recipe, settings: LocalEntropy) -> Sampler:
    """Return Entropy-SGD (Chaudhari et al., 2019)."""
    return Sampler((Phase("train", recipe, lambda: EntropySGD(settings)),))


def train(
    spec: ModelSpec,
    data: Split,
    sampler: Sampler,
    *,
    seeds: Sequence[int],
    device: torch.device,
    classes: int | None = None,
    black: Tensor | None = None,
    initial: Sequence[Sequence[Params]] | None = None,
    watcher: Watcher | None = None,
    pause: Callable[[bool, Callable[[], State]], None] = lambda epoch_ended, state: None,
    resume: State | None = None,
) -> list[Solution]:
    """Train a run for each seed, all as one stack; each gives what it would give alone.

    On the CPU the bytes are those of the run alone; on a GPU they may differ by rounding. A run whose loss stops
    being finite is given up, and the others go on.

    Args:
        spec: the model.
        data: the training set, standardised.
        sampler: how.
        seeds: of everything random, one a run.
        device: where to train.
        classes: the number of classes to draw random labels from; needed by ADV.
        black: the standardised value of a zero pixel, shape (channels,); needed by ADV and to augment.
        initial: for each run, its replicas to start from, instead of new ones.
        watcher: whom to tell.
        pause: called before the first step and after every step, with whether an epoch has ended (or the first is
            about to begin), and with a function that returns the state of training: may save it, or raise to stop.
        resume: a state to go on from, of a training with the same other arguments.

    Raises:
        TrainingError: if training cannot start, or the state does not fit it.
        ModelError: if `initial` does not fit the model.

    Warns:
        UserWarning: if random labels were not learnt as well as asked.
    """
    watcher = watcher or Watcher()
    count = sampler.replicas
    starts = initial or [[initial_params(spec, seed, replica) for replica in range(count)] for seed in seeds]
    stack = Stack(spec, [params for replicas in starts for params in replicas], device, replicas=count)
    data = data.to(device)
    earlier: list[EpochRecord] = [] if resume is None else records_of(resume)
    for record in earlier:
        watcher.epoch(record)
    first = 0 if resume is None else _phase_of(resume, sampler)
    diverged = [False] * len(seeds)
    loop = None
    for number, phase in enumerate(sampler.phases):
        if number < first:
            continue
        if loop is not None:
            earlier, diverged = earlier + loop.records, loop.diverged
        loop = Loop(
            stack,
            _training_sets(data, phase, seeds, classes, black, device),
            phase.recipe,
            phase.method(),
            seeds=seeds,
            black=black,
            phase=number,
            name=phase.name,
            watcher=watcher,
            diverged=diverged,
        )
        if resume is not None and number == first:
            restore(loop, resume)
        else:
            loop.method.begin(stack, loop.data, phase.recipe)
        _run(loop, earlier, pause, begins=resume is None and number == 0)
        if phase.corruption is not None:
            warn_unless_learnt(phase.corruption, [*earlier, *loop.records])
    assert loop is not None
    records = earlier + loop.records
    return [_solution(loop, run, records) for run in range(len(seeds))]


def _run(
    loop: Loop, earlier: list[EpochRecord], pause: Callable[[bool, Callable[[], State]], None], *, begins: bool
) -> None:
    def moment(epoch_ended: bool) -> None:
        pause(epoch_ended, lambda: state_of(loop, earlier))

    if begins:
        moment(True)
    loop.run(moment)


def _phase_of(state: State, sampler: Sampler) -> int:
    number = state.facts.get("phase")
    if not isinstance(number, int) or not 0 <= number < len(sampler.phases):
        raise TrainingError("the saved state is malformed (phase): remove it to begin anew")
    return number


def _training_sets(
    data: Split, phase: Phase, seeds: Sequence[int], classes: int | None, black: Tensor | None, device: torch.device
) -> list[Split]:
    """Return each run's training set in a phase."""
    if phase.corruption is None:
        return [data] * len(seeds)
    if classes is None or black is None:
        raise TrainingError("random labels need the number of classes, and zeroed pixels their standardised value")
    return [
        corrupt(data, phase.corruption, classes=classes, black=black, generator=generator(seed, CORRUPTION)).to(device)
        for seed in seeds
    ]


def _solution(loop: Loop, run: int, records: Sequence[EpochRecord]) -> Solution:
    seed = loop.seeds[run]
    epochs = max((r.epoch for r in records if r.seed == seed and r.phase == loop.name), default=0)
    if loop.diverged[run]:
        return Solution(seed, None, (), epochs)
    members = loop.stack.members(run)
    networks = range(members.start, members.stop) if loop.stack.replicas > 1 else ()
    replicas = tuple(loop.stack.params(k) for k in networks)
    return Solution(seed, loop.solution(run), replicas, epochs)
