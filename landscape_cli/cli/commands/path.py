"""`landscape path`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from landscape_cli.cli.console import say
from landscape_cli.cli.options import (
    Align,
    BatchNorm,
    DataDir,
    DataName,
    DataTask,
    Debug,
    Device,
    Force,
    Form,
    InputShape,
    Kind,
    Loss,
    Method,
    MidpointBatch,
    MidpointEpochs,
    MidpointMomentum,
    MidpointOut,
    MidpointRate,
    MidpointUntil,
    ModelName,
    OptimizeMidpoint,
    Orders,
    Output,
    Pairs,
    PathKind,
    Plot,
    Points,
    Quiet,
    Seed,
    Statistics,
    Strict,
)

if TYPE_CHECKING:
    from landscape_cli.cli.meters import Meter
    from landscape_cli.cli.midpoint import Bend, Bender
    from landscape_cli.cli.pairs import Pair
    from landscape_cli.cli.relabelling import Aligner
    from landscape_cli.io.checkpoint import Checkpoint


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
    data: DataName = None,
    task: DataTask = None,
    data_dir: DataDir = None,
    strict: Strict = False,
    model_name: ModelName = None,
    input_shape: InputShape = None,
    device: Device = "auto",
    seed: Seed = 0,
    output: Output = None,
    plot: Plot = None,
    force: Force = False,
    form: Form = None,
    quiet: Quiet = False,
    debug: Debug = False,
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
    from landscape_cli.binary.layers import latent_owners
    from landscape_cli.cli.measured import data_of
    from landscape_cli.cli.meters import FlipMeter, LineMeter, Setting
    from landscape_cli.cli.midpoint import Bender, check_training, midpoint_paths, with_rate
    from landscape_cli.cli.pairs import Pair, check_no_patterns, choose
    from landscape_cli.cli.relabelling import Aligner
    from landscape_cli.cli.reports.path import Report
    from landscape_cli.cli.session import (
        check_result_output,
        make_provenance,
        read_networks,
        resolve_device,
        symmetry_of,
    )
    from landscape_cli.io.checkpoint import write_checkpoint

    check_result_output(output, form, plot, force=force)
    recipe = check_training(context)
    if pairs is not None:
        families, files, chosen = choose([start, end, *(more or [])], pairs)
    elif more:
        raise typer.BadParameter(f"path takes two networks, or families with --pairs: leave out {more[0]}")
    else:
        families, files, chosen = {}, [start, end], [Pair(0, 1)]
        check_no_patterns(files)
    ends = [(files[pair.start], files[pair.end]) for pair in chosen]
    outs = midpoint_paths(midpoint_out, ends, (output, plot), force=force)
    place = resolve_device(device)
    networks, model = read_networks(files, model_name, input_shape)
    first = networks[0]
    latents = latent_owners(model)
    recipe = with_rate(recipe, lr, binary=bool(latents))
    kind = _choose_kind(context, networks, binary=bool(latents))
    needed = strict or kind is Kind.GEODESIC or align is not None or recipe is not None
    symmetry = symmetry_of(first, model, strict=strict, quiet=quiet) if needed else None
    loaded = data_of(networks, name=data, task=task, directory=data_dir, quiet=quiet)

    def make_aligner(method: Method) -> Aligner:
        assert symmetry is not None
        return Aligner(model, first, symmetry, method=method.value, data=loaded, seed=seed, device=place, quiet=quiet)

    def provenance(inputs: Sequence[Checkpoint]) -> dict[str, Any]:
        found = {"kind": kind} | ({} if recipe is None else {"lr": recipe.learning_rate})
        return make_provenance(context, device=place, seed=seed, networks=inputs, data=loaded, **found)

    def keep(bend: Bend, out: Path, ends: Sequence[Checkpoint]) -> None:
        history = (*(step for one in ends for step in one.history), provenance(ends))
        write_checkpoint(out, replace(bend.midpoint, history=history), force=force)
        say(f"wrote {out}", quiet=quiet)

    setting = Setting(model, first.params, loaded, points=points, loss=loss, bn=bn, device=place, quiet=quiet)
    aligner = None if align is None else make_aligner(align)
    meter: Meter
    if latents:
        meter = FlipMeter(setting, latents, orders=orders, seed=seed)
    else:
        meter = LineMeter(setting, symmetry if kind is Kind.GEODESIC else None)
    if recipe is None:
        measured = _measure(networks, chosen, meter, aligner)
    else:
        assert symmetry is not None
        bender = Bender(meter, symmetry, aligner or make_aligner(Method.COSINE), recipe, seed=seed)
        measured = _bend(networks, chosen, outs, bender, aligner, keep)
    meter.warn_of_missing()
    report = Report(
        kind,
        orders if latents else None,
        optimised=recipe is not None,
        provenance=provenance(networks),
        output=output,
        form=form,
        plot=plot,
        force=force,
        quiet=quiet,
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
    if not binary and getattr(context.get_parameter_source("orders"), "name", "") == "COMMANDLINE":
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
    networks: Sequence[Checkpoint], chosen: Sequence[Pair], meter: Meter, aligner: Aligner | None
) -> list[dict[str, Any]]:
    """Return what is measured of the path of every pair, the second network aligned if there is an aligner."""
    from landscape_cli.cli.session import placed

    measured = []
    with meter.watched(f"{meter.kind.value} path", len(chosen) * meter.networks()):
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
    aligner: Aligner | None,
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
            measured.append(names | lost | {"failure": str(error)})
            continue
        measured.append(names | bend.body)
        if out is not None:
            keep(bend, out, (a, b))
    return measured


def _aligned(
    networks: Sequence[Checkpoint], chosen: Sequence[Pair], aligner: Aligner | None
) -> Iterator[tuple[Checkpoint, Checkpoint]]:
    """Yield the two networks of every pair."""
    for pair in chosen:
        a, b = networks[pair.start], networks[pair.end]
        yield a, b if aligner is None else aligner.align(a, b)
