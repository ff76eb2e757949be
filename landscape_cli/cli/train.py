"""`landscape train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from landscape_cli.cli.console import emit, say
from landscape_cli.cli.options import (
    LARGEST_SEED,
    Algorithm,
    Debug,
    Device,
    Force,
    Form,
    InputShape,
    Nonlinearity,
    Norm,
    Quiet,
    Seed,
)
from landscape_cli.cli.train_model import model_spec, read_starts

if TYPE_CHECKING:
    import torch

    from landscape_cli.checkpoint import Checkpoint, ModelSpec, Params
    from landscape_cli.data import DataSet, DataSpec
    from landscape_cli.samplers import Watcher


def train(
    context: typer.Context,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="Checkpoint to write, .st or .safetensors.", show_default=False),
    ],
    algo: Annotated[
        Algorithm,
        typer.Option(
            "--algo",
            help="sgd: Nesterov SGD; rsgd: coupled replicas (flat minima); adv: from random labels (sharp).",
        ),
    ] = Algorithm.SGD,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="mlp, lenet, vgg16, resnet20, torchvision:NAME?num_classes=10, package.module:factory?arg=1.  "
            "[default: mlp, or --init's]",
        ),
    ] = None,
    hidden: Annotated[
        str | None,
        typer.Option(
            "--hidden",
            help="Hidden widths: mlp 512,512,512, lenet 500, vgg16 none (4096,4096 from 224x224 on); '' for none.",
        ),
    ] = None,
    filters: Annotated[str | None, typer.Option("--filters", help="lenet's filters: 20,50 by default.")] = None,
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
    lr: Annotated[float, typer.Option("--lr", help="Learning rate; a cosine anneals it to zero.")] = 0.02,
    momentum: Annotated[
        float | None, typer.Option("--momentum", help="Nesterov momentum.  [default: 0.9; adv: 0]")
    ] = None,
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
            help="rsgd: γ in the first epoch; auto: the coupling starts equal to the loss.  [default: auto]",
        ),
    ] = None,
    gamma_growth: Annotated[
        float | None,
        typer.Option("--gamma-growth", help="rsgd: factor by which γ grows in all.  [default: 1e4]"),
    ] = None,
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
    adv_lr: Annotated[
        float | None, typer.Option("--adv-lr", help="adv: learning rate on random labels.  [default: 0.02]")
    ] = None,
    adv_until_error: Annotated[
        float | None,
        typer.Option("--adv-until-error", help="adv: error at which random labels are learnt.  [default: 0.01]"),
    ] = None,
    init: Annotated[
        list[Path] | None,
        typer.Option("--init", help="Checkpoint to start from; for rsgd one, or one a replica.", show_default=False),
    ] = None,
    input_shape: InputShape = None,
    log: Annotated[
        Path | None,
        typer.Option("--log", help="CSV file with a line for every epoch, written as training goes on."),
    ] = None,
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
    """  # noqa: D301 - \b keeps the help's lines as they are
    from landscape_cli.checkpoint import Checkpoint, check_checkpoint_name, write_checkpoint
    from landscape_cli.cli.session import check_distinct, make_provenance, resolve_device
    from landscape_cli.cli.training_log import watch
    from landscape_cli.data import load_data
    from landscape_cli.errors import CheckpointError, ResultError
    from landscape_cli.files import check_output
    from landscape_cli.results import Result
    from landscape_cli.samplers.streams import module_randomness

    check_checkpoint_name(output)
    check_output(output, force=force, error=CheckpointError)
    check_distinct(output, log)
    if log is not None:
        check_output(log, force=force, error=ResultError)
    options = context.params
    _check_belongs(options, algo)
    starts = read_starts(init or [], model, input_shape)
    sampler = _configure(options, algo)
    place = resolve_device(device)
    loaded = load_data(_data_spec(context, starts), download=download)
    spec = model_spec(options, starts, loaded)
    initial = [start.params for start in starts]
    with watch(log, quiet=quiet) as watcher, module_randomness(seed, place):
        params = _run(sampler, spec, loaded, initial, seed=seed, device=place, watcher=watcher)
    metrics = _measure(spec, params, loaded, place)
    provenance = make_provenance(context, device=place, seed=seed, networks=starts, data=loaded)
    checkpoint = Checkpoint(
        {name: tensor.cpu() for name, tensor in params.items()},
        spec,
        loaded.record,
        history=(*(step for start in starts for step in start.history), provenance),
        metrics=metrics,
    )
    write_checkpoint(output, checkpoint, force=force)
    say(f"wrote {output}", quiet=quiet)
    row = {"network": str(output), "algo": algo.value, "seed": seed} | metrics
    emit(Result(row, [row], provenance), output=None, form=form, force=force, quiet=quiet)


OWNERS = {
    "replicas": "rsgd",
    "gamma_init": "rsgd",
    "gamma_growth": "rsgd",
    "adv_copies": "adv",
    "adv_zero_fraction": "adv",
    "adv_epochs": "adv",
    "adv_lr": "adv",
    "adv_until_error": "adv",
}


def _check_belongs(options: dict[str, Any], algo: Algorithm) -> None:
    """Refuse options of another algorithm: an option silently ignored misleads."""
    for name, owner in OWNERS.items():
        if options[name] is not None and owner != algo.value:
            raise typer.BadParameter(f"{_flag(name)} is for --algo {owner}, not {algo.value}")


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _data_spec(context: typer.Context, starts: list[Checkpoint]) -> DataSpec:
    from landscape_cli.data import DataSpec, HiddenManifold

    options = context.params
    given = [name for name in options if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"]
    sizes_of_hmm = [name for name in given if name.startswith("hmm_")]
    if options["data"] is None and starts:
        misplaced = sizes_of_hmm + [name for name in given if name in {"train_size", "data_seed"}]
        if misplaced:
            raise typer.BadParameter(f"--init brings its data along: leave out {_flag(misplaced[0])}, or name --data")
        if not starts[0].data:
            raise typer.BadParameter(
                f"{starts[0].path} does not say which data it was trained on: name them with --data"
            )
        return DataSpec.from_record(starts[0].data, options["data_dir"] if "data_dir" in given else None)
    if sizes_of_hmm and options["data"] not in {None, "hmm"}:
        raise typer.BadParameter(f"{_flag(sizes_of_hmm[0])} is for --data hmm, not {options['data']}")
    latent = options["hmm_latent"]
    patterns = options["hmm_patterns"]
    sizes = HiddenManifold(
        latent,
        options["hmm_dim"],
        3 * latent if patterns is None else patterns,
        options["hmm_test"],
        options["hmm_nonlinearity"].value,
    )
    return DataSpec(options["data"] or "hmm", options["data_dir"], options["train_size"], options["data_seed"], sizes)


def _configure(options: dict[str, Any], algo: Algorithm) -> tuple[Any, Any]:
    """Return the recipe, and what is the algorithm's own: checked before any data is read."""
    from landscape_cli.samplers import Adversarial, Recipe, Replication

    momentum = options["momentum"]
    if momentum is None:
        momentum = 0.0 if algo is Algorithm.ADV else 0.9
    until = options["until_error"]
    if until is not None and not 0 <= until <= 1:
        raise typer.BadParameter(f"--until-error takes a fraction from 0 to 1, not {until}")
    recipe = Recipe(options["epochs"], options["lr"], momentum, options["batch_size"], until)
    given = {key: options[key] for key in OWNERS if options[key] is not None}
    if algo is Algorithm.RSGD:
        return recipe, Replication(
            given.get("replicas", 3), _gamma(given.get("gamma_init", "auto")), given.get("gamma_growth", 1e4)
        )
    if algo is Algorithm.ADV:
        corrupt = Adversarial()
        first = Recipe(
            given.get("adv_epochs", corrupt.recipe.epochs),
            given.get("adv_lr", corrupt.recipe.learning_rate),
            batch_size=options["batch_size"],
            until_error=given.get("adv_until_error", corrupt.recipe.until_error),
        )
        return recipe, Adversarial(
            given.get("adv_copies", corrupt.copies),
            given.get("adv_zero_fraction", corrupt.zero_fraction),
            first,
        )
    return recipe, None


def _gamma(text: str) -> float | None:
    if text == "auto":
        return None
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"--gamma-init takes a number or auto, not {text!r}") from None


def _run(
    sampler: tuple[Any, Any],
    spec: ModelSpec,
    data: DataSet,
    initial: list[Params],
    *,
    seed: int,
    device: torch.device,
    watcher: Watcher,
) -> Params:
    from landscape_cli.errors import TrainingError
    from landscape_cli.samplers import Replication, train_adv, train_rsgd, train_sgd

    recipe, own = sampler
    if isinstance(own, Replication):
        if len(initial) not in {0, 1, own.replicas}:
            raise TrainingError(f"--init takes one checkpoint or one for each of {own.replicas} replicas")
        starts = initial * own.replicas if len(initial) == 1 else initial
        return train_rsgd(
            spec, data.train, recipe, own, seed=seed, device=device, initial=starts or None, watcher=watcher
        )
    if len(initial) > 1:
        raise TrainingError("--init takes one checkpoint, except for rsgd")
    start = initial[0] if initial else None
    if own is None:
        return train_sgd(spec, data.train, recipe, seed=seed, device=device, initial=start, watcher=watcher)
    return train_adv(
        spec,
        data.train,
        recipe,
        own,
        classes=data.classes,
        black=-data.mean / data.deviation,
        seed=seed,
        device=device,
        initial=start,
        watcher=watcher,
    )


def _measure(spec: ModelSpec, params: Params, data: DataSet, device: torch.device) -> dict[str, float]:
    from landscape_cli.evaluate import Evaluator
    from landscape_cli.models import build_model

    splits = {"train": data.train, "test": data.test}
    scores = Evaluator(build_model(spec, params), splits, device=device).evaluate([params])
    return {f"{split}_error": float(score.error) for split, score in scores.items()} | {
        f"{split}_loss": float(score.loss) for split, score in scores.items()
    }
