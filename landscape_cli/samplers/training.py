"""Training from start to end: a sampler's phases on a stack of runs, which can be interrupted and resumed."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from landscape_cli.arguments import check_kind, check_memory, check_number, check_tensors, check_whole, device_of
from landscape_cli.binary.layers import latent_names
from landscape_cli.data.checks import check_split
from landscape_cli.data.datasets import DataSet, Split
from landscape_cli.errors import Remark, TrainingError
from landscape_cli.forward.functional import as_inputs, readable
from landscape_cli.network import ModelSpec, Params
from landscape_cli.rng import generator
from landscape_cli.samplers.division import Division
from landscape_cli.samplers.loop import Loop
from landscape_cli.samplers.recipe import Recipe
from landscape_cli.samplers.records import EpochRecord, TrainingObserver, check_keep_epochs
from landscape_cli.samplers.sampler import Phase, Sampler
from landscape_cli.samplers.sgd import SGD
from landscape_cli.samplers.stack import Stack
from landscape_cli.samplers.state import TrainingState, records_of, restore, state_of
from landscape_cli.samplers.streams import CORRUPTION, initial_params
from landscape_cli.samplers.subspace import ConfinedStack, Displacement, Subspace

Pause = Callable[[bool, Callable[[], TrainingState]], None]

FEW_NETWORKS = 100
"""Whose size nobody needs to ask for."""


@dataclass(frozen=True, eq=False)
class Solution:
    """What one run came to.

    Attributes:
        seed: of the run.
        params: the network; None if the run diverged.
        replicas: the networks it is the centre of, with their own statistics, where the sampler keeps them.
        epochs: how many it trained in the last phase, up to where it diverged.
        subspace: how far it came, if it trained in a subspace, and did not diverge.
    """

    seed: int
    params: Params | None = field(repr=False)
    replicas: tuple[Params, ...] = field(default=(), repr=False)
    epochs: int = 0
    subspace: Displacement | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return what is to be said of it beside its tensors, as JSON values."""
        facts = {"seed": self.seed, "epochs": self.epochs, "diverged": self.params is None}
        return facts if self.subspace is None else facts | {"subspace": self.subspace.to_dict()}


def train(
    spec: ModelSpec,
    data: DataSet | Split,
    sampler: Sampler | None = None,
    *,
    recipe: Recipe | None = None,
    seeds: Sequence[int] = (0,),
    device: torch.device | str = "cpu",
    classes: int | None = None,
    black: Tensor | None = None,
    initial: Sequence[Sequence[Params]] | None = None,
    init_scale: float = 1.0,
    subspace: Subspace | None = None,
    observer: TrainingObserver | None = None,
    pause: Pause = lambda epoch_ended, state: None,
    resume: TrainingState | None = None,
    division: Division | None = None,
) -> list[Solution]:
    """Train a run for each seed, all as one stack; each gives what it would give alone (docs/method.md: Samplers).

    On the CPU the bytes are those of the run alone; on a GPU they may differ by rounding. A run whose loss stops
    being finite is given up, and the others go on.

        train(ModelSpec("lenet", {}, (1, 28, 28), 10), load_data(DataSpec("mnist")), RSGD(replicas=3), seeds=[0, 1])

    Args:
        spec: the model.
        data: a data set, whose training set is learnt, or a split by itself, standardised.
        sampler: how to get to a solution; by default `SGD()`.
        recipe: how long and how fast; by default, and where it leaves something open, as the sampler and the model
            have it.
        seeds: of everything random, one a run.
        device: where to train.
        classes: the number of classes to draw random labels from; by default as many as the data has.
        black: the standardised value of a zero pixel, shape (channels,); by default as the data set says. Of a split
            alone, ADV needs it, and augmentation takes it to be 0.
        initial: for each run, its replicas to start from, instead of new ones.
        init_scale: what the parameters of all these networks are multiplied by first.
        subspace: the random affine subspace that training is confined to, with `SGD()` alone; None for the whole
            space. The coordinates are trained, by Adam where the recipe names no optimiser.
        observer: whom to tell.
        pause: called before the first step and after every step, with whether an epoch has ended (or the first is
            about to begin), and with a function that returns the state of training: may save it, or raise to stop.
        resume: a state to go on from, of a training with the same other arguments.
        division: the processes that train these networks together, each called with the same arguments.

    Returns:
        For each seed, in this order, what the run came to.

    Raises:
        DataError: if the data is no data set or split, or does not fit the model.
        TrainingError: if training cannot start, or the state does not fit it.
        ModelError: if `initial` does not fit the model.

    Warns:
        UserWarning: if random labels were not learnt as well as asked.
        Remark: in a subspace, that it is not invariant under scales.
    """
    sampler, recipe, observer = sampler or SGD(), recipe or Recipe(), observer or TrainingObserver()
    _check_kinds(spec, sampler, recipe, observer)
    device = device_of(device)
    split, classes, black = _learnt(spec, data, classes, black)
    _check_start(init_scale, subspace, sampler)
    stack = Stack(spec, _starts(spec, sampler, seeds, initial), device, replicas=sampler.networks)
    stack.scale(init_scale)
    _check_scaled(stack, init_scale)
    binary = bool(latent_names(stack.networks[0]))
    phases = _phases(sampler, recipe, binary=binary, subspace=subspace is not None)
    _check_stops(phases, split)
    check_keep_epochs(observer.keep_epochs, phases[-1].recipe.epochs)
    taken = dict.fromkeys(observer.keep_epochs) | {e: k for k, e in enumerate(sampler.snapshots(recipe.epochs), 1)}
    confined = _confine(stack, subspace, seeds, binary=binary)
    split = replace(split, x=readable(stack.networks[0].eval(), split.x)).to(device)
    stack.networks[0].train()
    earlier: list[EpochRecord] = [] if resume is None else records_of(resume)
    for record in earlier:
        observer.epoch(record)
    first = 0 if resume is None else _phase_of(resume, len(phases))
    diverged = [False] * len(seeds)
    loop = None
    for number in range(first, len(phases)):
        phase = phases[number]
        if loop is not None:
            earlier, diverged = earlier + loop.records, loop.diverged
        draws = [generator(seed, CORRUPTION) for seed in seeds]
        sets = [
            sampler.training_set(phase.name, split, classes=classes, black=black, generator=draw).to(device)
            for draw in draws
        ]
        loop = Loop(
            stack,
            sets,
            sampler,
            phase,
            seeds=seeds,
            number=number,
            black=black,
            observer=observer,
            diverged=diverged,
            confined=confined,
            taken=taken if number == len(phases) - 1 else {},
            scaled=init_scale != 1 and number == 0,
            division=division,
        )
        if resume is not None and number == first:
            restore(loop, resume)
        else:
            loop.begin()
        _run(loop, earlier, pause, begins=resume is None and number == 0)
        sampler.end_phase(phase, [*earlier, *loop.records], loop.context)
    assert loop is not None
    records = earlier + loop.records
    return [_solution(loop, run, records) for run in range(len(seeds))]


def _check_kinds(spec: object, sampler: object, recipe: object, observer: object) -> None:
    check_kind("spec", spec, ModelSpec, "give a ModelSpec, such as `Checkpoint.model`", TrainingError)
    check_kind("sampler", sampler, Sampler, "give one with its settings, as in RSGD(replicas=3)", TrainingError)
    check_kind("recipe", recipe, Recipe, "give a Recipe, as in Recipe(epochs=20)", TrainingError)
    check_kind("observer", observer, TrainingObserver, "give a TrainingObserver", TrainingError)


def _check_start(init_scale: object, subspace: object, sampler: Sampler) -> None:
    """Check where training is to start, and where it may go.

    Raises:
        TrainingError: if a factor is not positive, or the sampler does not train in subspaces.
    """
    check_number("init_scale", init_scale, TrainingError)
    if not init_scale > 0:  # type: ignore[operator]
        raise TrainingError(f"`init_scale=` must be positive, and is {init_scale}")
    if subspace is not None:
        check_kind("subspace", subspace, Subspace, "give one, as in Subspace(64)", TrainingError)
        if type(sampler) is not SGD:
            raise TrainingError("`subspace=` goes with `algo=` sgd")


def _check_stops(phases: Sequence[Phase], data: Split) -> None:
    """Check that there is an error where training is to stop at one.

    Raises:
        TrainingError: if there is none.
    """
    if not data.objective.has_error and any(phase.recipe.until_error is not None for phase in phases):
        name = data.objective.name
        raise TrainingError(
            f"the objective {name} has no error for training to stop at: leave out `until_error=`, and `algo=` adv"
        )


def _check_scaled(stack: Stack, init_scale: float) -> None:
    """Check that weights to start from are finite once they are scaled.

    Raises:
        TrainingError: if they are not.
    """
    if init_scale != 1 and not bool(stack.weights.isfinite().all()):
        raise TrainingError(f"`init_scale=` {init_scale:g} makes weights that float32 cannot hold: lower it")


def _confine(stack: Stack, subspace: Subspace | None, seeds: Sequence[int], *, binary: bool) -> ConfinedStack | None:
    """Return the networks in their subspaces; None if there are none.

    Raises:
        TrainingError: if they are binary, or the subspace is too large for them or for memory.

    Warns:
        Remark: that the subspace depends on the scales of units.
    """
    if subspace is None:
        return None
    if binary:
        raise TrainingError("`subspace=` is not for binary networks, whose latent weights are cut back at each step")
    confined = ConfinedStack(stack, subspace, seeds)
    warnings.warn(
        "`subspace=` is not invariant under scales: through the same function with its units rescaled goes another "
        "subspace",
        Remark,
        stacklevel=3,
    )
    return confined


def _learnt(
    spec: ModelSpec, data: DataSet | Split, classes: int | None, black: Tensor | None
) -> tuple[Split, int, Tensor | None]:
    """Return what is learnt, the number of its classes, and the value of a zero pixel, if it is known.

    Raises:
        DataError: if it is no data, or does not fit the model.
    """
    if isinstance(data, DataSet):
        classes = classes or data.classes
        black = -data.mean / data.deviation if black is None else black
    split = data.train if isinstance(data, DataSet) else data
    check_split("the training set", split, spec.outputs, spec.input_shape)
    if classes is not None:
        check_whole("classes", classes, TrainingError, least=1)
    split = replace(split, x=as_inputs(split.x, torch.float32), y=split.objective.targets(split.y))
    return split, classes or int(split.y.max()) + 1, black


def _starts(
    spec: ModelSpec, sampler: Sampler, seeds: Sequence[int], initial: Sequence[Sequence[Params]] | None
) -> list[Params]:
    """Return the networks to start from, those of a run next to each other.

    Raises:
        TrainingError: if there are no seeds, or not as many networks as are trained.
    """
    count = sampler.networks
    check_kind("seeds", seeds, Sequence, "give a whole number for each run, as in [0, 1]", TrainingError)
    for seed in seeds:
        check_whole("seeds", seed, TrainingError, least=0)
    if not seeds:
        raise TrainingError("there is no run without a seed: name one a run with `seeds=`")
    if initial is not None:
        check_kind("initial", initial, Sequence, "give for each run the list of its networks", TrainingError)
        for replicas in initial:
            check_kind("initial", replicas, Sequence, "give for each run the list of its networks", TrainingError)
            for params in replicas:
                check_tensors(params)
    if initial is None and count * len(seeds) > FEW_NETWORKS:
        each = sum(tensor.numel() * tensor.element_size() for tensor in initial_params(spec, seeds[0], 0).values())
        networks = f"{count * len(seeds):,} networks with their gradients: train fewer as one"
        check_memory(networks, 2 * each * count * len(seeds), TrainingError)
    starts = initial or [[initial_params(spec, seed, replica) for replica in range(count)] for seed in seeds]
    if [len(replicas) for replicas in starts] != [count] * len(seeds):
        raise TrainingError(f"`initial=` takes {count} networks for each of {len(seeds)} runs")
    return [params for replicas in starts for params in replicas]


def _phases(sampler: Sampler, recipe: Recipe, *, binary: bool, subspace: bool) -> tuple[Phase, ...]:
    """Return a sampler's phases, nothing left open in their recipes.

    Raises:
        TrainingError: if the recipe has a schedule that the sampler does not use.
    """
    if sampler.own_schedule and recipe.schedule != Recipe.schedule:
        raise TrainingError(f"{type(sampler).__name__} has a schedule of its own: leave out `schedule=`")
    recipe = recipe.with_defaults(
        momentum=sampler.momentum, usual_rate=sampler.usual_rate, binary=binary, subspace=subspace
    )
    return sampler.phases(recipe, binary=binary)


def _run(loop: Loop, earlier: list[EpochRecord], pause: Pause, *, begins: bool) -> None:
    def moment(epoch_ended: bool) -> None:
        pause(epoch_ended, lambda: state_of(loop, earlier))

    if begins:
        moment(True)
    loop.run(moment)


def _phase_of(state: TrainingState, phases: int) -> int:
    number = state.facts.get("phase")
    if not isinstance(number, int) or not 0 <= number < phases:
        raise TrainingError("the saved state is malformed (phase): remove it to begin anew")
    return number


def _solution(loop: Loop, run: int, records: Sequence[EpochRecord]) -> Solution:
    seed = loop.context.seeds[run]
    epochs = max((r.epoch for r in records if r.seed == seed and r.phase == loop.phase.name), default=0)
    if loop.diverged[run]:
        return Solution(seed, None, (), epochs)
    members = loop.stack.members(run)
    replicas = tuple(loop.stack.params(k) for k in range(members.start, members.start + loop.sampler.kept))
    return Solution(seed, loop.solution(run), replicas, epochs, loop.displacement(run))
