"""`landscape train`."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from landscape_cli.choices import Algorithm
from landscape_cli.cli.console import emit, listen, say
from landscape_cli.cli.options import ComputeOptions, ResultOptions, TerminalOptions
from landscape_cli.cli.preprocessing_options import PreprocessingOptions
from landscape_cli.cli.ranks import RANKS_OF_THIS_PROCESS
from landscape_cli.cli.training.data_options import (
    TrainingDataOptions,
    check_runs,
    data_spec,
    training_preprocessing,
    with_numbers,
)
from landscape_cli.cli.training.model_options import (
    NetworkOptions,
    StartOptions,
    initial_networks,
    model_spec,
    read_starts,
)
from landscape_cli.cli.training.output_options import CheckpointOptions, ResumeOptions
from landscape_cli.cli.training.recipe_options import RecipeOptions
from landscape_cli.cli.training.sampler_options import SamplerOptions, summaries
from landscape_cli.cli.training.subspace_options import SubspaceOptions

if TYPE_CHECKING:
    from landscape_cli.cli.training.files import CheckpointFiles


def train(
    context: typer.Context,
    *,
    algo: Annotated[Algorithm, typer.Option("--algo", help=summaries(), rich_help_panel="Sampler")] = Algorithm.SGD,
    network: NetworkOptions,
    data: TrainingDataOptions,
    preprocessing: PreprocessingOptions,
    optimization: RecipeOptions,
    settings: SamplerOptions,
    start: StartOptions,
    confinement: SubspaceOptions,
    interruption: ResumeOptions,
    compute: ComputeOptions,
    target: CheckpointOptions,
    terminal: TerminalOptions,
) -> None:
    """Train a network to a solution of a chosen kind, and save it with all that later commands need.

    Networks that are to be compared need the same --data-seed (and --train-size), and different --seed.

    \b
    Examples:
      landscape train --algo rsgd
      landscape train --algo sgd --model mlp --data hmm --seed 1 -o sgd-1.st
      landscape train --algo rsgd --model lenet --data fashion-mnist -o rsgd.st
      landscape train --algo adv --data my.safetensors --log adv.csv
      landscape train --model lenet --data mnist --runs 8 -o 'sgd-{seed}.st'
      landscape train --model vgg16 --data cifar10 --checkpoint-every 1 --resume
    """  # noqa: D301 - \b keeps the help's lines as they are
    from landscape_cli.cli.inputs import check_precision, resolve_device
    from landscape_cli.cli.measured_data import reading_data, warn_of_generated
    from landscape_cli.cli.outputs import check_distinct, check_written, noting
    from landscape_cli.cli.provenance import recorded
    from landscape_cli.cli.training.exports import export_solutions
    from landscape_cli.cli.training.files import CheckpointFiles
    from landscape_cli.cli.training.log import EpochLog, check_log
    from landscape_cli.cli.training.names import FIELD, check_template, state_file
    from landscape_cli.cli.training.resume import TrainingCheckpointer
    from landscape_cli.cli.training.shared import gather_runs, own_runs
    from landscape_cli.cli.training.watching import watch
    from landscape_cli.data.datasets import load_data
    from landscape_cli.errors import TrainingError
    from landscape_cli.io.lock import locked
    from landscape_cli.samplers import TrainingObserver, last_epochs, records_of
    from landscape_cli.samplers import train as train_stack

    quiet, resume = terminal.quiet, interruption.resume
    listen(quiet=quiet)
    settings.check_belong(algo)
    optimization.check_belong(context, algo)
    confinement.check_belong(algo, optimization)
    recipe, sampler = optimization.recipe(confinement.optimizer), settings.sampler(algo)
    subspace, init_scale = confinement.subspace(), start.scale()
    every_seed = range(compute.seed, compute.seed + optimization.runs)
    template = target.output or Path(f"{algo.value}-{FIELD}.st")
    phases = sampler.phases(recipe, binary=False)  # of binary networks there are as many, of as many epochs
    keep_epochs = target.kept_epochs(phases[-1].recipe.epochs)
    check_template(template, every_seed)
    runs = own_runs(every_seed, sampler.networks)
    seeds, log = runs.seeds, runs.part_of_log(interruption.log)
    target.check_plain(context)
    if not runs.follows:
        other = "another training that writes it"
        context.with_resource(locked(state_file(template, seeds), what=other, error=TrainingError))
    files = CheckpointFiles(
        template,
        seeds,
        replicas=sampler.kept,
        snapshots=sampler.snapshots(recipe.epochs),
        keep_epochs=keep_epochs,
        force=target.force,
        resume=resume,
    )
    inputs = {"--init": start.init or [], "--data": [] if data.data is None else [Path(data.data)]}
    files.check_not_read(inputs, log=log)
    check_distinct(log, files.state, *files.all_paths)
    exports = target.exports(seeds, (log, files.state, *files.all_paths), resume=resume)
    if not resume:
        check_log(log, None, sampler.networks, force=target.force, resume=False)
    starts = read_starts(start, network.model)
    device = resolve_device(compute.device)
    check_precision(optimization.precision, device, quiet=quiet)
    asked = training_preprocessing(preprocessing, starts, renewed=data.data is not None)
    wanted, reading = data_spec(context, data, starts), reading_data(quiet=quiet)
    loaded = load_data(wanted, preprocessing=asked, download=data.download, reading=reading)
    loaded = with_numbers(loaded, asked, network.model, starts)
    warn_of_generated(loaded, starts if data.data is None else (), quiet=quiet)
    spec = model_spec(network, starts, loaded)
    check_runs(spec, loaded, device)
    chosen = {"optimizer": recipe.optimizer}
    files.describe(
        context, algo.value, spec=spec, data=loaded, starts=starts, device=device, quiet=quiet, chosen=chosen
    )
    identity = recorded(context, device=None, data_dir=None, init=[each.sha256 for each in starts], **chosen)
    identity["data"] = loaded.record["sha256"]
    RANKS_OF_THIS_PROCESS.agree(identity)
    every = interruption.checkpoint_every
    checkpointer = TrainingCheckpointer(files.state, identity, every=every, resume=resume, quiet=quiet)
    state = checkpointer.read() if resume else None
    if state is None and not runs.follows and files.are_finished():
        say(f"{files.all_paths[0]} is finished already: nothing to resume", quiet=quiet)
        errors = export_solutions(files, exports)
        rows = gather_runs(runs, files.finished_rows(), interruption.log, errors, force=target.force)
        with noting(errors):
            _show(rows, files, target, alone=len(every_seed) == 1, quiet=quiet)
        check_written(errors)
        return
    if state is not None:
        files.find_taken(last_epochs(state, phases, seeds))
    if resume:
        seen = None if state is None else records_of(state)
        check_log(log, seen, sampler.networks, force=target.force, resume=True)
    lines = None if log is None else EpochLog(log, sampler.networks, force=target.force)
    checkpointer.ready = files.write_waiting
    watching: AbstractContextManager[TrainingObserver] = (
        nullcontext(TrainingObserver(thorough=interruption.log is not None))
        if runs.follows
        else watch(lines, len(seeds), files.take, keep_epochs, quiet=quiet)
    )
    dividing = runs.division(device, checkpointer.is_asked)
    with dividing as division, checkpointer.on_guard(), watching as observer:
        solutions = train_stack(
            spec,
            loaded,
            sampler,
            recipe=recipe,
            seeds=seeds,
            device=device,
            initial=initial_networks(starts, sampler.networks, len(seeds)),
            init_scale=init_scale,
            subspace=subspace,
            observer=observer,
            pause=checkpointer.pause_of(division, follows=runs.follows),
            resume=state,
            division=division,
        )
    checkpointer.save_end()
    with checkpointer.keeping_end():
        rows = files.write(solutions)
    kept = checkpointer.keep_end() if files.has_failed else ""
    if len(rows) == len(seeds) and not files.has_failed:
        checkpointer.remove()
        files.remove_leftovers()
    errors = export_solutions(files, exports)
    with noting(errors):
        files.check_no_failure(kept)
    with noting(errors):
        files.check_all_written(solutions, scaled=start.init_scale is not None)
    with noting(errors):
        if lines is not None:
            lines.check_complete()
    rows = gather_runs(runs, rows, interruption.log, errors, force=target.force)
    with noting(errors):
        _show(rows, files, target, alone=len(every_seed) == 1, quiet=quiet)
    check_written(errors)


def _show(
    rows: list[dict[str, Any]], files: CheckpointFiles, target: CheckpointOptions, *, alone: bool, quiet: bool
) -> None:
    """Print what is known of the networks, a row for each that was written; `alone` says that there is one run."""
    from landscape_cli.cli.reports.training import say_unsolved, show_networks
    from landscape_cli.cli.training.writer import flattened
    from landscape_cli.io.results import Result

    if not rows:
        return
    say_unsolved(rows, quiet=quiet)
    body = rows[0] if alone else {"networks": rows}
    result = Result(body, flattened(rows), files.of_result)
    emit(result, ResultOptions(form=target.form), quiet=quiet, show=show_networks)
