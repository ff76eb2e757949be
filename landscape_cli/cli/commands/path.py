"""`landscape path`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from landscape_cli.choices import Kind, Method, Statistics
from landscape_cli.cli.console import in_options, listen, progress, say
from landscape_cli.cli.options import (
    Align,
    BatchNorm,
    ComputeOptions,
    DataOptions,
    Loss,
    MidpointBatch,
    MidpointEpochs,
    MidpointMomentum,
    MidpointOut,
    MidpointRate,
    MidpointUntil,
    ModelOptions,
    OptimizeMidpoint,
    Orders,
    Pairs,
    PathKind,
    PictureOptions,
    Points,
    Strict,
    TerminalOptions,
    flag,
    given,
)
from landscape_cli.cli.outputs import check_distinct
from landscape_cli.cli.provenance import OF_MIDPOINT
from landscape_cli.cli.training.sampler_options import BINARY_RATES, LEARNING_RATES
from landscape_cli.errors import CheckpointError
from landscape_cli.io.atomic import check_output

if TYPE_CHECKING:
    from landscape_cli.alignment.verified import PairAligner
    from landscape_cli.io.checkpoint import Checkpoint
    from landscape_cli.measures.families import Pair
    from landscape_cli.measures.midpoint import Bend, Bender
    from landscape_cli.measures.path import Meter
    from landscape_cli.samplers import Recipe


def path(
    context: typer.Context,
    start: Annotated[Path, typer.Argument(help="The network at τ = 0, or with --pairs a pattern.", show_default=False)],
    end: Annotated[
        Path,
        typer.Argument(
            help="The network at τ = 1; with --pairs another pattern, or the same for one family.", show_default=False
        ),
    ],
    more: Annotated[
        list[Path] | None, typer.Argument(help="Further families, with --pairs.", show_default=False)
    ] = None,
    *,
    kind: PathKind = None,
    points: Points = 21,
    orders: Orders = 10,
    pairs: Pairs = None,
    align: Align = None,
    optimize_midpoint: OptimizeMidpoint = False,
    epochs: MidpointEpochs = 20,
    lr: MidpointRate = None,
    momentum: MidpointMomentum = 0.9,
    batch_size: MidpointBatch = 128,
    until_error: MidpointUntil = 0.0,
    midpoint_out: MidpointOut = None,
    loss: Loss = False,
    bn: BatchNorm = Statistics.KEEP,
    data: DataOptions,
    strict: Strict = False,
    foreign: ModelOptions,
    compute: ComputeOptions,
    result: PictureOptions,
    terminal: TerminalOptions,
) -> None:
    """Measure the error along the path between two networks, or many pairs, and its barrier.

    The barrier is the largest error along the path (max); also given: how far that lies above the worse end
    (above_ends), and above the line between the errors of the ends, at its highest (above_line).

    Between binary networks the path is a shortest one: the signs that differ flip in a random order. Errors are means
    over several orders, with the deviation over them.

    With --optimize-midpoint the middle of the path is trained, and the path leads through it in two pieces.

    \b
    Examples:
      landscape path a.st b.st
      landscape path a_n.st b_aligned.st --kind geodesic --points 41 --loss -o path.json --plot path.png
      landscape path a_n.st b_aligned.st --kind geodesic | jq .barrier.train.max
      landscape path a.st b_aligned.st --bn recompute    # for models with batch-norm
      landscape path a.st b.st --align weight --optimize-midpoint --midpoint-out middle.st
      landscape path 'n/sgd-*.st' 'n/adv-*.st' --pairs all --align cosine --kind geodesic -o paths.json
      landscape path binary-1.st binary-2.st --align cosine --orders 20 --plot flips.png
    """  # noqa: D301 - \b keeps the help's lines as they are
    from landscape_cli.alignment.verified import PairAligner
    from landscape_cli.binary.layers import latent_owners
    from landscape_cli.cli.commands.path import check_training, midpoint_paths, with_rate
    from landscape_cli.cli.inputs import data_of, read_networks, resolve_device, symmetry_of
    from landscape_cli.cli.outputs import check_result_output
    from landscape_cli.cli.pairs import check_no_patterns, choose
    from landscape_cli.cli.provenance import make_provenance
    from landscape_cli.cli.reports.path import Report
    from landscape_cli.cli.training.log import watch
    from landscape_cli.io.checkpoint import write_checkpoint
    from landscape_cli.measures.families import Pair
    from landscape_cli.measures.midpoint import Bender
    from landscape_cli.measures.path import FlipMeter, LineMeter, Setting

    listen(quiet=terminal.quiet)
    check_result_output(result.output, result.form, result.plot, force=result.force)
    recipe = check_training(context)
    if pairs is not None:
        families, files, chosen = choose([start, end, *(more or [])], pairs)
    elif more:
        raise typer.BadParameter(f"path takes two networks, or families with --pairs: leave out {more[0]}")
    else:
        families, files, chosen = {}, [start, end], [Pair(0, 1)]
        check_no_patterns(files)
    ends = [(files[pair.start], files[pair.end]) for pair in chosen]
    outs = midpoint_paths(midpoint_out, ends, (result.output, result.plot), force=result.force)
    place = resolve_device(compute.device)
    networks, model = read_networks(files, foreign)
    first = networks[0]
    latents = latent_owners(model)
    recipe = with_rate(recipe, lr, binary=bool(latents))
    kind = _choose_kind(context, networks, binary=bool(latents))
    needed = strict or kind is Kind.GEODESIC or align is not None or recipe is not None
    symmetry = symmetry_of(first, model, strict=strict, quiet=terminal.quiet) if needed else None
    loaded = data_of(networks, data, quiet=terminal.quiet)

    def make_aligner(method: Method) -> PairAligner:
        assert symmetry is not None
        inputs = loaded.train.x
        return PairAligner(model, first, symmetry, method=method.value, inputs=inputs, seed=compute.seed, device=place)

    def provenance(inputs: Sequence[Checkpoint]) -> dict[str, Any]:
        found = {"kind": kind} | ({} if recipe is None else {"lr": recipe.learning_rate})
        return make_provenance(context, device=place, seed=compute.seed, networks=inputs, data=loaded, **found)

    def keep(bend: Bend, out: Path, ends: Sequence[Checkpoint]) -> None:
        history = (*(step for one in ends for step in one.history), provenance(ends))
        write_checkpoint(out, replace(bend.midpoint, history=history), force=result.force)
        say(f"wrote {out}", quiet=terminal.quiet)

    setting = Setting(model, first.params, loaded, points=points, loss=loss, bn=bn, device=place)
    aligner = None if align is None else make_aligner(align)
    meter: Meter
    if latents:
        meter = FlipMeter(setting, latents, orders=orders, seed=compute.seed)
    else:
        meter = LineMeter(setting, symmetry if kind is Kind.GEODESIC else None)
    if recipe is None:
        measured = _measure(networks, chosen, meter, aligner, quiet=terminal.quiet)
    else:
        assert symmetry is not None
        bender = Bender(
            meter,
            symmetry,
            aligner or make_aligner(Method.COSINE),
            recipe,
            seed=compute.seed,
            watching=lambda: watch(None, 1, 1, quiet=terminal.quiet),
            progress=lambda description, samples: progress(description, samples, "samples", quiet=terminal.quiet),
        )
        measured = _bend(networks, chosen, outs, bender, aligner, keep)
    meter.warn_of_missing()
    report = Report(
        kind,
        orders if latents else None,
        optimised=recipe is not None,
        provenance=provenance(networks),
        output=result.output,
        form=result.form,
        plot=result.plot,
        force=result.force,
        quiet=terminal.quiet,
    )
    if pairs is not None:
        report.of_families(families, chosen, measured)
    else:
        report.of_pair(measured[0])


def _choose_kind(context: typer.Context, networks: Sequence[Checkpoint], *, binary: bool) -> Kind:
    """Return the kind of the paths, checking that there are such paths between the networks.

    Raises:
        GeometryError: if there are none.
        BadParameter: if `--orders` is given for paths that have none.
    """
    from landscape_cli.errors import GeometryError

    kind: Kind = context.params["kind"] or (Kind.SHORTEST if binary else Kind.LINEAR)
    name = networks[0].path
    if binary and kind is not Kind.SHORTEST:
        raise GeometryError(
            f"{name} is a binary network, whose signs flip one by one, so no {kind.value} path leads from it: use "
            "--kind shortest, or leave it out"
        )
    if not binary and kind is Kind.SHORTEST:
        raise GeometryError(
            f"{name} is not a binary network, so it has no signs to flip: use --kind linear or geodesic"
        )
    if not binary and given(context, "orders"):
        raise typer.BadParameter("--orders is for binary networks: leave it out")
    if kind is Kind.GEODESIC:
        for network in networks:
            if network.normalized is None:
                raise GeometryError(
                    f"{network.path} is not normalised, so no geodesic leads there: run "
                    f"'landscape normalize {network.path} -o FILE' first"
                )
    return kind


def _measure(
    networks: Sequence[Checkpoint], chosen: Sequence[Pair], meter: Meter, aligner: PairAligner | None, *, quiet: bool
) -> list[dict[str, Any]]:
    """Return what is measured of the path of every pair, the second network aligned if there is an aligner."""
    from landscape_cli.io.checkpoint import placed

    measured = []
    total = meter.samples(len(chosen) * meter.networks())
    with progress(f"{meter.kind.value} path", total, "samples", quiet=quiet) as meter.advance:
        for a, b in _aligned(networks, chosen, aligner):
            curve = meter.curve([placed(a, meter.setting.device), placed(b, meter.setting.device)])
            names = {"start": a.path, "end": b.path}
            measured.append(names | {"barrier": curve.barriers(), "points": curve.rows()})
    return measured


def _bend(
    networks: Sequence[Checkpoint],
    chosen: Sequence[Pair],
    outs: Sequence[Path | None],
    bender: Bender,
    aligner: PairAligner | None,
    keep: Callable[[Bend, Path, Sequence[Checkpoint]], None],
) -> list[dict[str, Any]]:
    """Return what is measured of the optimised path of every pair, or why it is missing; `keep` writes midpoints.

    Raises:
        TrainingError: if every midpoint is missing.
    """
    from landscape_cli.errors import TrainingError

    measured: list[dict[str, Any]] = []
    for k, ((a, b), out) in enumerate(zip(_aligned(networks, chosen, aligner), outs, strict=True)):
        names = {"start": a.path, "end": b.path}
        count = f" {k + 1} of {len(chosen)}" if len(chosen) > 1 else ""
        try:
            bend = bender.bend(a, b, out=out, count=count)
        except TrainingError as error:
            lost_all = k + 1 == len(chosen) and all("failure" in one for one in measured)
            if lost_all:
                raise
            say(f"warning: the midpoint of {a.path} and {b.path} is missing: {error}")
            lost = dict.fromkeys(("midpoint", "barrier", "pieces", "points"))
            measured.append(names | lost | {"failure": in_options(str(error))})
            continue
        measured.append(names | bend.body)
        if out is not None:
            keep(bend, out, (a, b))
    return measured


def _aligned(
    networks: Sequence[Checkpoint], chosen: Sequence[Pair], aligner: PairAligner | None
) -> Iterator[tuple[Checkpoint, Checkpoint]]:
    """Yield the two networks of every pair."""
    for pair in chosen:
        a, b = networks[pair.start], networks[pair.end]
        yield a, b if aligner is None else aligner.align(a, b)


def check_training(context: typer.Context) -> Recipe | None:
    """Return how the command's options say to train midpoints; None where there are to be none.

    `with_rate` gives it the learning rate that suits the networks, once these are known.

    Raises:
        BadParameter: if an option of training is given without `--optimize-midpoint`, or is out of range.
        TrainingError: if one makes no sense.
    """
    from landscape_cli.samplers import Recipe

    options = context.params
    if not options["optimize_midpoint"]:
        for name in (*OF_MIDPOINT, "midpoint_out"):
            if given(context, name):
                raise typer.BadParameter(f"{flag(name)} is for --optimize-midpoint: leave it out")
        return None
    until = options["until_error"]
    if not 0 <= until <= 1:
        raise typer.BadParameter(f"--until-error takes a fraction from 0 to 1, not {until}")
    rate = LEARNING_RATES["sgd"] if options["lr"] is None else options["lr"]
    return Recipe(options["epochs"], rate, options["momentum"], options["batch_size"], until)


def with_rate(recipe: Recipe | None, rate: float | None, *, binary: bool) -> Recipe | None:
    """Return the recipe with the learning rate that binary networks have by default, where none is given."""
    if recipe is None or rate is not None or not binary:
        return recipe
    return replace(recipe, learning_rate=BINARY_RATES["sgd"])


def midpoint_paths(
    template: Path | None, ends: Sequence[tuple[Path, Path]], others: Sequence[Path | None], *, force: bool
) -> list[Path | None]:
    """Return where the midpoint of each pair goes, checking that it may.

    Args:
        template: `--midpoint-out`, in which {start} and {end} stand for the stems of the two files.
        ends: the files of each pair.
        others: further outputs of the command.
        force: whether existing files may be replaced.

    Raises:
        CheckpointError: if two would go to one file, or a file stands in the way.
        ResultError: if one would be another output.
    """
    from landscape_cli.io.checkpoint import check_checkpoint_name

    if template is None:
        return [None] * len(ends)
    names = [str(template).replace("{start}", start.stem).replace("{end}", end.stem) for start, end in ends]
    for name in names:
        if names.count(name) > 1:
            raise CheckpointError(
                f"several midpoints would be written to {name}: tell them apart by {{start}} and {{end}} in "
                "--midpoint-out, which stand for the stems of the files"
            )
    paths = [Path(name) for name in names]
    for path in paths:
        check_checkpoint_name(path)
        check_output(path, force=force, error=CheckpointError)
        check_distinct(path, *others)
        if any(path.resolve() == own.resolve() for pair in ends for own in pair):
            raise CheckpointError(f"{path} is one of the networks themselves: name the midpoint otherwise")
    return list(paths)
