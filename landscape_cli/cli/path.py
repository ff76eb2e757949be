"""`landscape path`."""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from landscape_cli.cli.console import emit, print_table, say
from landscape_cli.cli.options import (
    Align,
    BatchNorm,
    DataDir,
    DataName,
    Debug,
    Device,
    Force,
    Form,
    InputShape,
    Kind,
    Loss,
    Method,
    ModelName,
    Output,
    Pairs,
    Plot,
    Quiet,
    Seed,
    Statistics,
    Strict,
)

if TYPE_CHECKING:
    from landscape_cli.cli.pairs import Pair
    from landscape_cli.cli.relabelling import Aligner


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
    kind: Annotated[
        Kind, typer.Option("--kind", help="Straight line, or geodesic between normalised networks.")
    ] = Kind.LINEAR,
    points: Annotated[
        int, typer.Option("--points", min=2, help="Points on the path, evenly spaced, ends included.")
    ] = 21,
    pairs: Pairs = None,
    align: Align = None,
    optimize_midpoint: Annotated[
        bool,
        typer.Option(
            "--optimize-midpoint", help="Train the middle of the path by SGD, and measure the path through it."
        ),
    ] = False,
    epochs: Annotated[
        int, typer.Option("--epochs", min=1, help="Midpoint: passes over the training set, at most.")
    ] = 20,
    lr: Annotated[
        float,
        typer.Option("--lr", help="Midpoint: learning rate; a cosine anneals it to zero."),
    ] = 0.02,
    momentum: Annotated[float, typer.Option("--momentum", help="Midpoint: Nesterov momentum.")] = 0.9,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Midpoint: samples in a mini-batch.")] = 128,
    until_error: Annotated[
        float, typer.Option("--until-error", help="Midpoint: stop once the training error is this low.")
    ] = 0.0,
    midpoint_out: Annotated[
        Path | None,
        typer.Option(
            "--midpoint-out",
            help="Checkpoint to write the midpoint to; with --pairs 'mid-{start}-{end}.st', of the stems of the files.",
        ),
    ] = None,
    loss: Loss = False,
    bn: BatchNorm = Statistics.KEEP,
    data: DataName = None,
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

    With --optimize-midpoint the middle of the path is trained, and the path leads through it in two pieces.

    \b
    Examples:
      landscape path a.st b.st
      landscape path a_n.st b_aligned.st --kind geodesic --points 41 --loss -o path.json --plot path.png
      landscape path a_n.st b_aligned.st --kind geodesic | jq .barrier.train.max
      landscape path a.st b_aligned.st --bn recompute    # for models with batch-norm
      landscape path a.st b.st --align weight --optimize-midpoint --midpoint-out middle.st
      landscape path 'n/sgd-*.st' 'n/adv-*.st' --pairs all --align cosine --kind geodesic -o paths.json
    """  # noqa: D301 - \b keeps the help's lines as they are
    from landscape_cli.checkpoint import write_checkpoint
    from landscape_cli.cli.curves import Meter
    from landscape_cli.cli.midpoint import Bender, check_training, midpoint_paths
    from landscape_cli.cli.pairs import Pair, check_no_patterns, choose
    from landscape_cli.cli.relabelling import Aligner
    from landscape_cli.cli.session import (
        check_result_output,
        data_of,
        make_provenance,
        placed,
        read_networks,
        resolve_device,
        symmetry_of,
    )
    from landscape_cli.errors import GeometryError, TrainingError
    from landscape_cli.plots import plot_path
    from landscape_cli.results import Result

    check_result_output(output, form, plot, force=force)
    options = {"epochs": epochs, "lr": lr, "momentum": momentum, "batch_size": batch_size, "until_error": until_error}
    recipe = check_training(context, options)
    if pairs is not None:
        families, files, chosen = choose([start, end, *(more or [])], pairs)
    elif more:
        raise typer.BadParameter(f"path takes two networks, or families with --pairs: leave out {more[0]}")
    else:
        files, chosen = [start, end], [Pair(0, 1)]
        check_no_patterns(files)
    ends = [(files[pair.start], files[pair.end]) for pair in chosen]
    outs = midpoint_paths(midpoint_out, ends, (output, plot), force=force)
    place = resolve_device(device)
    networks, model = read_networks(files, model_name, input_shape)
    first = networks[0]
    if kind is Kind.GEODESIC:
        for network in networks:
            if network.normalized is None:
                raise GeometryError(
                    f"{network.path} is not normalised, so no geodesic leads there: run "
                    f"'landscape normalize {network.path} -o FILE' first"
                )
    needed = strict or kind is Kind.GEODESIC or align is not None or recipe is not None
    symmetry = symmetry_of(first, model, strict=strict, quiet=quiet) if needed else None
    loaded = data_of(networks, name=data, directory=data_dir, quiet=quiet)

    def make_aligner(method: Method) -> Aligner:
        assert symmetry is not None
        return Aligner(model, first, symmetry, method=method.value, data=loaded, seed=seed, device=place, quiet=quiet)

    aligner = None if align is None else make_aligner(align)
    meter = Meter(
        model,
        first.params,
        loaded,
        symmetry=symmetry if kind is Kind.GEODESIC else None,
        points=points,
        loss=loss,
        bn=bn,
        device=place,
        quiet=quiet,
    )
    bender = None
    if recipe is not None:
        assert symmetry is not None
        bender = Bender(
            meter,
            symmetry,
            aligner or make_aligner(Method.COSINE),
            recipe,
            geodesic=kind is Kind.GEODESIC,
            seed=seed,
            device=place,
            quiet=quiet,
        )
    measured: list[dict[str, Any]] = []
    watched = nullcontext() if bender else meter.watched(f"{kind.value} path", len(chosen) * points)
    with watched:
        for k, (pair, out) in enumerate(zip(chosen, outs, strict=True)):
            a, b = networks[pair.start], networks[pair.end]
            if aligner is not None:
                b = aligner.align(a, b)
            names = {"start": a.path, "end": b.path}
            if bender is None:
                curve = meter.curve([placed(a, place), placed(b, place)])
                measured.append(names | {"barrier": curve.barriers(), "points": curve.rows()})
                continue
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
                made = make_provenance(context, device=place, seed=seed, networks=[a, b], data=loaded)
                history = (*a.history, *b.history, made)
                write_checkpoint(out, replace(bend.midpoint, history=history), force=force)
                say(f"wrote {out}", quiet=quiet)
    meter.warn_of_missing()
    provenance = make_provenance(context, device=place, seed=seed, networks=networks, data=loaded)
    title = f"{kind.value}{', optimised' if bender else ''}"
    out_to: dict[str, Any] = {"output": output, "form": form, "force": force, "quiet": quiet}
    if pairs is not None:
        _emit_families(families, chosen, measured, title, kind, plot, provenance, out_to)
        failed = sum("failure" in one for one in measured)
        if failed:
            raise TrainingError(
                f"{failed} of {len(measured)} midpoints are missing, and with them their families' means: lower --lr"
            )
        return
    [found] = measured
    if plot is not None:
        plot_path(plot, found["points"], title=f"{start.name} to {end.name} ({title})", force=force)
    emit(Result({"kind": kind.value} | found, found["points"], provenance), **out_to)
    train = found["barrier"]["train"]
    if not math.isnan(train["max"]):
        say(f"barrier: train error {train['max']:.4g} at τ = {train['tau']:.3g}", quiet=quiet)


def _emit_families(
    families: dict[str, list[Path]],
    pairs: list[Pair],
    measured: list[dict[str, Any]],
    title: str,
    kind: Kind,
    plot: Path | None,
    provenance: dict[str, Any],
    out_to: dict[str, Any],
) -> None:
    """Write what was measured of every pair, and its mean and deviation per family pair."""
    from landscape_cli.cli.pairs import listing
    from landscape_cli.cli.summary import path_summary, shown_paths
    from landscape_cli.plots import plot_families
    from landscape_cli.results import Result

    summary = path_summary(pairs, measured)
    if plot is not None:
        plot_families(plot, summary, title=f"{title}: mean and deviation over pairs", force=out_to["force"])
    entries: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for pair, found in zip(pairs, measured, strict=True):
        assert pair.families is not None
        entries.append({"families": list(pair.families)} | found)
        which = {"a": found["start"], "b": found["end"], "family_a": pair.families[0], "family_b": pair.families[1]}
        rows += [which | row for row in found["points"] or [{"tau": None}]]
    body = {"kind": kind.value, "families": listing(families), "pairs": entries, "summary": summary}
    table = shown_paths(summary)
    emit(Result(body, rows, provenance), **out_to, show=lambda result: print_table(replace(result, rows=table)))
