"""`landscape path`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from landscape_cli.cli.console import emit, progress, say
from landscape_cli.cli.options import (
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
    ModelName,
    Output,
    Plot,
    Quiet,
    Statistics,
    Strict,
    UnusedSeed,
)


def path(
    context: typer.Context,
    start: Annotated[Path, typer.Argument(help="The network at τ = 0.", show_default=False)],
    end: Annotated[Path, typer.Argument(help="The network at τ = 1.", show_default=False)],
    kind: Annotated[
        Kind, typer.Option("--kind", help="Straight line, or geodesic between normalised networks.")
    ] = Kind.LINEAR,
    points: Annotated[
        int, typer.Option("--points", min=2, help="Points on the path, evenly spaced, ends included.")
    ] = 21,
    loss: Loss = False,
    bn: BatchNorm = Statistics.KEEP,
    data: DataName = None,
    data_dir: DataDir = None,
    strict: Strict = False,
    model_name: ModelName = None,
    input_shape: InputShape = None,
    device: Device = "auto",
    seed: UnusedSeed = 0,
    output: Output = None,
    plot: Plot = None,
    force: Force = False,
    form: Form = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Measure the error along the path between two networks, and its barrier.

    The barrier is the largest error along the path (max); also given: how far that lies above the worse end
    (above_ends), and above the line between the errors of the ends, at its highest (above_line).

    \b
    Examples:
      landscape path a.st b.st
      landscape path a_n.st b_aligned.st --kind geodesic --points 41 --loss -o path.json --plot path.png
      landscape path a_n.st b_aligned.st --kind geodesic | jq .barrier.train.max
      landscape path a.st b_aligned.st --bn recompute    # for models with batch-norm
    """  # noqa: D301 - \b keeps the help's lines as they are
    from landscape_cli.cli.session import (
        check_result_output,
        data_of,
        make_provenance,
        placed,
        read_networks,
        resolve_device,
        score_columns,
        symmetry_of,
    )
    from landscape_cli.cli.statistics import samples_recomputed, warn_of_missing
    from landscape_cli.errors import GeometryError
    from landscape_cli.evaluate import Evaluator
    from landscape_cli.geometry import geodesic, linear
    from landscape_cli.paths import barrier, even_steps
    from landscape_cli.results import Result

    check_result_output(output, form, plot, force=force)
    place = resolve_device(device)
    checkpoints, model = read_networks([start, end], model_name, input_shape)
    a, b = checkpoints
    if kind is Kind.GEODESIC:
        for network in checkpoints:
            if network.normalized is None:
                raise GeometryError(
                    f"{network.path} is not normalised, so no geodesic leads there: run "
                    f"'landscape normalize {network.path} -o FILE' first"
                )
    traced = symmetry_of(a, model, strict=strict, quiet=quiet) if strict or kind is Kind.GEODESIC else None
    symmetry = traced if kind is Kind.GEODESIC else None
    loaded = data_of(checkpoints, name=data, directory=data_dir, quiet=quiet)
    taus = even_steps(points)
    ends = placed(a, place), placed(b, place)
    networks = (linear(*ends, tau) if symmetry is None else geodesic(*ends, tau, symmetry) for tau in taus)
    recomputed = samples_recomputed(model, checkpoints[0].params, loaded.train, bn, quiet=quiet)
    samples = points * (recomputed + len(loaded.train.y) + len(loaded.test.y))
    with progress(f"{kind.value} path", samples, "samples", quiet=quiet) as advance:
        splits = {"train": loaded.train, "test": loaded.test}
        recompute_on = "train" if recomputed else None
        evaluator = Evaluator(model, splits, device=place, advance=advance, recompute_on=recompute_on)
        scores = evaluator.evaluate(networks)
    warn_of_missing(scores, "points", model=model, params=checkpoints[0].params, train=loaded.train, bn=bn, quiet=quiet)
    rows: list[dict[str, Any]] = []
    for k, tau in enumerate(taus):
        rows.append({"tau": tau} | score_columns(scores, k, loss=loss))
    barriers: dict[str, Any] = {split: barrier(taus, score.error.tolist()) for split, score in scores.items()}
    if loss:
        barriers["loss"] = {split: barrier(taus, score.loss.tolist()) for split, score in scores.items()}
    body = {"kind": kind.value, "start": a.path, "end": b.path, "barrier": barriers, "points": rows}
    provenance = make_provenance(context, device=place, seed=seed, networks=checkpoints, data=loaded)
    if plot is not None:
        from landscape_cli.plots import plot_path

        plot_path(plot, rows, title=f"{start.name} to {end.name} ({kind.value})", force=force)
    emit(Result(body, rows, provenance), output=output, form=form, force=force, quiet=quiet)
    train = barriers["train"]
    if not math.isnan(train["max"]):
        say(f"barrier: train error {train['max']:.4g} at τ = {train['tau']:.3g}", quiet=quiet)
