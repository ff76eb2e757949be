"""`landscape train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from landscape_cli.choices import (
    Algorithm,
    Augment,
    GammaSchedule,
    Nonlinearity,
    Norm,
    Optimizer,
    Precision,
    Schedule,
    Task,
)
from landscape_cli.cli.console import emit, listen, say
from landscape_cli.cli.options import LARGEST_SEED, Debug, Device, Force, Form, InputShape, Quiet, Seed, flag, given
from landscape_cli.cli.training.model_options import initial_networks, model_spec, read_starts
from landscape_cli.cli.training.sampler_options import check_belongs, check_precision, configure

if TYPE_CHECKING:
    from landscape_cli.data.datasets import DataSpec
    from landscape_cli.io.checkpoint import Checkpoint


def train(
    context: typer.Context,
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            help="Checkpoint to write, .st or .safetensors; with --runs a name for each, as in 'sgd-{seed}.st'.",
            show_default=False,
        ),
    ],
    algo: Annotated[
        Algorithm,
        typer.Option(
            "--algo",
            help="sgd: Nesterov SGD; rsgd: coupled replicas (flat minima); adv: from random labels (sharp); "
            "sam, swa, esgd: sharpness-aware, weight averaging, Entropy-SGD.",
        ),
    ] = Algorithm.SGD,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="mlp, lenet, vgg16, resnet20, binary-perceptron, committee, binary-mlp, binary-conv, "
            "torchvision:NAME?num_classes=10, package.module:factory?arg=1.  "
            "[default: mlp, or --init's]",
        ),
    ] = None,
    hidden: Annotated[
        str | None,
        typer.Option(
            "--hidden",
            help="Hidden widths: mlp 512,512,512, lenet 500, vgg16 none (4096,4096 from 224x224 on), committee 9, "
            "binary-mlp 501,501, binary-conv 201,101; '' for none.",
        ),
    ] = None,
    filters: Annotated[
        str | None, typer.Option("--filters", help="Filters of lenet, 20,50 by default, or binary-conv, 21,51.")
    ] = None,
    width: Annotated[
        int | None,
        typer.Option("--width", min=1, help="Filters of the first stage: vgg16 64, resnet20 16 by default."),
    ] = None,
    blocks: Annotated[
        int | None, typer.Option("--blocks", min=1, help="resnet20: blocks a stage, n of 6n + 2 layers: 3 by default.")
    ] = None,
    norm: Annotated[Norm | None, typer.Option("--norm", help="resnet20: batch (by default) or layer-norm.")] = None,
    bias: Annotated[
        bool | None, typer.Option("--bias/--no-bias", help="mlp, lenet: biases in every layer, or none.")
    ] = None,
    outputs: Annotated[
        int | None,
        typer.Option("--outputs", min=1, help="Outputs: by default one a class, or one with a sign for two classes."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            help="hmm (generated), mnist, fashion-mnist, cifar10, FILE.safetensors.  [default: hmm, or --init's]",
        ),
    ] = None,
    task: Annotated[
        Task | None,
        typer.Option("--task", help="mnist, FILE.safetensors: parity, of the labels, in place of the labels."),
    ] = None,
    data_dir: Annotated[str, typer.Option("--data-dir", help="Where torchvision's files lie.")] = "data",
    download: Annotated[bool, typer.Option("--download", help="Fetch missing data with torchvision.")] = False,
    train_size: Annotated[
        int | None, typer.Option("--train-size", help="Train on a class-balanced subset of so many samples.")
    ] = None,
    data_seed: Annotated[
        int,
        typer.Option("--data-seed", min=0, max=LARGEST_SEED, help="Seed of the subset and of generated data."),
    ] = 0,
    hmm_latent: Annotated[int, typer.Option("--hmm-latent", help="hmm: D, the hidden dimension.")] = 201,
    hmm_dim: Annotated[int, typer.Option("--hmm-dim", help="hmm: N, the dimension of inputs.")] = 401,
    hmm_patterns: Annotated[
        int | None, typer.Option("--hmm-patterns", help="hmm: P, training patterns.  [default: 3 D]")
    ] = None,
    hmm_test: Annotated[int, typer.Option("--hmm-test", help="hmm: test patterns.")] = 2000,
    hmm_nonlinearity: Annotated[Nonlinearity, typer.Option("--hmm-nonlinearity", help="hmm: f.")] = Nonlinearity.SIGN,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Passes over the training set.")] = 100,
    runs: Annotated[
        int, typer.Option("--runs", min=1, help="Independent networks trained as one, of seeds --seed and following.")
    ] = 1,
    optimizer: Annotated[Optimizer, typer.Option("--optimizer", help="sgd or adam.")] = Optimizer.SGD,
    lr: Annotated[
        float | None,
        typer.Option("--lr", help="Learning rate at the start.  [default: 0.02, adam 0.001; binary: 20, adam 0.05]"),
    ] = None,
    lr_schedule: Annotated[
        Schedule, typer.Option("--lr-schedule", help="How it falls: by a cosine to zero, not at all, or in steps.")
    ] = Schedule.COSINE,
    lr_milestones: Annotated[
        str | None,
        typer.Option("--lr-milestones", help="step: after which fractions of the epochs.  [default: 0.5,0.75]"),
    ] = None,
    lr_decay: Annotated[float | None, typer.Option("--lr-decay", help="step: factor at each.  [default: 0.1]")] = None,
    momentum: Annotated[
        float | None, typer.Option("--momentum", help="sgd: Nesterov momentum.  [default: 0.9; adv: 0]")
    ] = None,
    weight_decay: Annotated[float, typer.Option("--weight-decay", help="L2 penalty in the gradient.")] = 0.0,
    clip_norm: Annotated[
        float | None, typer.Option("--clip-norm", help="Cut longer gradients to this norm.  [default: off]")
    ] = None,
    augment: Annotated[
        Augment, typer.Option("--augment", help="Change images at random: shifts by up to 4 pixels, mirror images.")
    ] = Augment.OFF,
    precision: Annotated[
        Precision, typer.Option("--precision", help="Of the forward and backward pass; weights stay in float32.")
    ] = Precision.FLOAT32,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Samples in a mini-batch.")] = 128,
    until_error: Annotated[
        float | None, typer.Option("--until-error", help="Stop once the training error is this low.")
    ] = None,
    replicas: Annotated[int | None, typer.Option("--replicas", help="rsgd: replicas.  [default: 3]")] = None,
    gamma_init: Annotated[
        str | None,
        typer.Option(
            "--gamma-init",
            metavar="auto|X",
            help="rsgd: γ in the first epoch; auto: the coupling starts equal to the loss; esgd: a number.  "
            "[default: auto; esgd: 0.03]",
        ),
    ] = None,
    gamma_growth: Annotated[
        float | None,
        typer.Option("--gamma-growth", help="rsgd, esgd: factor by which γ grows in all.  [default: 1e4; esgd: 10]"),
    ] = None,
    gamma_schedule: Annotated[
        GammaSchedule | None,
        typer.Option(
            "--gamma-schedule", help="rsgd: by the same factor each epoch, or the same amount.  [default: exp]"
        ),
    ] = None,
    keep_replicas: Annotated[
        bool, typer.Option("--keep-replicas", help="rsgd: write each replica as well, NAME-replica1.st, ...")
    ] = False,
    adv_copies: Annotated[
        int | None,
        typer.Option("--adv-copies", help="adv: copies of the data with random labels.  [default: 1]"),
    ] = None,
    adv_zero_fraction: Annotated[
        float | None,
        typer.Option("--adv-zero-fraction", help="adv: pixels zeroed in a copy.  [default: 0.1]"),
    ] = None,
    adv_epochs: Annotated[
        int | None,
        typer.Option("--adv-epochs", help="adv: epochs on random labels, at most.  [default: 200]"),
    ] = None,
    adv_optimizer: Annotated[
        Optimizer | None,
        typer.Option("--adv-optimizer", help="adv: optimiser on random labels.  [default: sgd; binary: adam]"),
    ] = None,
    adv_lr: Annotated[
        float | None,
        typer.Option(
            "--adv-lr",
            help="adv: learning rate on random labels.  [default: 0.02, adam 0.001; binary: 0.05, sgd 20]",
        ),
    ] = None,
    adv_until_error: Annotated[
        float | None,
        typer.Option("--adv-until-error", help="adv: error at which random labels are learnt.  [default: 0.01]"),
    ] = None,
    sam_rho: Annotated[
        float | None, typer.Option("--sam-rho", help="sam: ρ, how far to climb first.  [default: 0.05]")
    ] = None,
    swa_start: Annotated[
        float | None, typer.Option("--swa-start", help="swa: fraction of the epochs not averaged.  [default: 0.75]")
    ] = None,
    swa_lr: Annotated[
        float | None, typer.Option("--swa-lr", help="swa: constant learning rate from there.  [default: 0.01]")
    ] = None,
    esgd_steps: Annotated[
        int | None, typer.Option("--esgd-steps", help="esgd: L, steps of exploration.  [default: 20]")
    ] = None,
    esgd_noise: Annotated[
        float | None, typer.Option("--esgd-noise", help="esgd: ε, size of the thermal noise.  [default: 1e-4]")
    ] = None,
    init: Annotated[
        list[Path] | None,
        typer.Option(
            "--init",
            help="Checkpoint to start from; repeated, one for each run (rsgd: each replica).",
            show_default=False,
        ),
    ] = None,
    input_shape: InputShape = None,
    log: Annotated[
        Path | None,
        typer.Option("--log", help="CSV file with a line for every epoch, written as training goes on."),
    ] = None,
    checkpoint_every: Annotated[
        int | None,
        typer.Option(
            "--checkpoint-every",
            min=1,
            help="Save the state of training after so many epochs, and on SIGTERM and Ctrl-C, in NAME.resume.",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from such a file; without one, begin.", show_default=False)
    ] = False,
    device: Device = "auto",
    seed: Seed = 0,
    force: Force = False,
    form: Form = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train a network to a solution of a chosen kind, and save it with all that later commands need.

    Networks that are to be compared need the same --data-seed (and --train-size), and different --seed.

    \b
    Examples:
      landscape train --algo sgd --model mlp --data hmm --seed 1 -o sgd-1.st
      landscape train --algo rsgd --model lenet --data fashion-mnist --data-dir data --train-size 10000 -o rsgd.st
      landscape train --algo adv --model mlp --hidden 256,256 --data my.safetensors --log adv.csv -o adv.st
      landscape train --algo sgd --model lenet --data mnist --runs 8 --seed 1 -o 'sgd-{seed}.st'
      landscape train --algo rsgd --model vgg16 --data cifar10 --checkpoint-every 1 --resume -o rsgd.st
    """  # noqa: D301 - \b keeps the help's lines as they are
    from landscape_cli.binary.layers import latent_names
    from landscape_cli.cli.inputs import resolve_device
    from landscape_cli.cli.outputs import check_distinct
    from landscape_cli.cli.provenance import recorded
    from landscape_cli.cli.training.log import check_log, watch
    from landscape_cli.cli.training.outputs import Outputs
    from landscape_cli.cli.training.resume import Keeper
    from landscape_cli.data.datasets import load_data
    from landscape_cli.io.results import Result
    from landscape_cli.models import construct_template
    from landscape_cli.samplers import records_of
    from landscape_cli.samplers import train as train_stack

    listen(quiet=quiet)
    options = context.params
    check_belongs(options, algo)
    seeds = list(range(seed, seed + runs))
    sampler = configure(options, algo)
    target = Outputs(output, seeds, replicas=sampler.replicas if keep_replicas else 0, force=force, resume=resume)
    check_distinct(log, target.state, *target.paths)
    if not resume:
        check_log(log, None, sampler.replicas, force=force)
    starts = read_starts(init or [], model, input_shape)
    place = resolve_device(device)
    check_precision(precision, place, quiet=quiet)
    loaded = load_data(_data_spec(context, starts), download=download)
    spec = model_spec(options, starts, loaded)
    sampler = configure(options, algo, binary=bool(latent_names(construct_template(spec))))
    target.describe(context, algo.value, spec=spec, data=loaded, starts=starts, device=place, quiet=quiet)
    identity = recorded(context, device=None, data_dir=None, init=[start.sha256 for start in starts])
    keeper = Keeper(
        target.state, identity | {"data": loaded.record["sha256"]}, every=checkpoint_every, resume=resume, quiet=quiet
    )
    state = keeper.read() if resume else None
    if state is None and target.are_finished():
        say(f"{target.paths[0]} is finished already: nothing to resume", quiet=quiet)
        rows = target.finished_rows()
        body = rows[0] if runs == 1 else {"networks": rows}
        emit(Result(body, rows, target.provenance), output=None, form=form, force=force, quiet=quiet)
        return
    if resume:
        check_log(log, None if state is None else records_of(state), sampler.replicas, force=force)
    with keeper.on_guard(), watch(log, runs, sampler.replicas, quiet=quiet) as watcher:
        found = train_stack(
            spec,
            loaded.train,
            sampler,
            seeds=seeds,
            device=place,
            classes=loaded.classes,
            black=-loaded.mean / loaded.deviation,
            initial=initial_networks(starts, sampler.replicas, runs),
            watcher=watcher,
            pause=keeper.pause,
            resume=state,
        )
    keeper.save_end()
    rows = target.write(found, keeper.path)
    if len(rows) == runs:
        keeper.remove()
    if rows:
        body = rows[0] if runs == 1 else {"networks": rows}
        emit(Result(body, rows, target.provenance), output=None, form=form, force=force, quiet=quiet)
    target.complain(found)


def _data_spec(context: typer.Context, starts: list[Checkpoint]) -> DataSpec:
    from landscape_cli.data.datasets import DataSpec
    from landscape_cli.data.hidden_manifold import HiddenManifold

    options = context.params
    named = [name for name in options if given(context, name)]
    sizes_of_hmm = [name for name in named if name.startswith("hmm_")]
    if options["data"] is None and starts:
        misplaced = sizes_of_hmm + [name for name in named if name in {"train_size", "data_seed", "task"}]
        if misplaced:
            raise typer.BadParameter(f"--init brings its data along: leave out {flag(misplaced[0])}, or name --data")
        if not starts[0].data:
            raise typer.BadParameter(
                f"{starts[0].path} does not say which data it was trained on: name them with --data"
            )
        return DataSpec.from_record(starts[0].data, options["data_dir"] if "data_dir" in named else None)
    if sizes_of_hmm and options["data"] not in {None, "hmm"}:
        raise typer.BadParameter(f"{flag(sizes_of_hmm[0])} is for --data hmm, not {options['data']}")
    latent = options["hmm_latent"]
    patterns = options["hmm_patterns"]
    sizes = HiddenManifold(
        latent,
        options["hmm_dim"],
        3 * latent if patterns is None else patterns,
        options["hmm_test"],
        options["hmm_nonlinearity"].value,
    )
    return DataSpec(
        options["data"] or "hmm",
        options["data_dir"],
        options["train_size"],
        options["data_seed"],
        sizes,
        None if options["task"] is None else options["task"].value,
    )
