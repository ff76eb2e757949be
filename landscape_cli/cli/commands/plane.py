"""`landscape plane`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from landscape_cli.choices import Statistics
from landscape_cli.cli.console import emit, listen, progress, say
from landscape_cli.cli.options import (
    BatchNorm,
    DataOptions,
    Device,
    Loss,
    ModelOptions,
    PictureOptions,
    TerminalOptions,
    UnusedSeed,
)


def plane(
    context: typer.Context,
    a: Annotated[Path, typer.Argument(help="The network at the origin.", show_default=False)],
    b: Annotated[Path, typer.Argument(help="The network on the x axis.", show_default=False)],
    c: Annotated[Path, typer.Argument(help="The network above it.", show_default=False)],
    *,
    grid: Annotated[int, typer.Option("--grid", min=2, help="Nodes along each side.")] = 25,
    margin: Annotated[
        float,
        typer.Option("--margin", min=0.0, help="Margin round the three, as a fraction of their extent."),
    ] = 0.2,
    loss: Loss = False,
    bn: BatchNorm = Statistics.KEEP,
    data: DataOptions,
    foreign: ModelOptions,
    device: Device = "auto",
    seed: UnusedSeed = 0,
    result: PictureOptions,
    terminal: TerminalOptions,
) -> None:
    """Measure the error on a grid in the plane through three networks.

    Distances in the plane are Euclidean; the coordinates of the three networks are part of the JSON result.

    Of binary networks the plane is that of their latent weights; at every node the network is the signs there.

    \b
    Examples:
      landscape plane a.st b.st b_aligned.st -o plane.json --plot plane.png
      landscape plane a.st b.st c.st --grid 51 --margin 0.5 --loss -o plane.csv
    """  # noqa: D301 - \b keeps the help's lines as they are
    from landscape_cli.binary.layers import latent_names
    from landscape_cli.cli.inputs import data_of, read_networks, resolve_device
    from landscape_cli.cli.outputs import check_result_output
    from landscape_cli.cli.provenance import make_provenance
    from landscape_cli.errors import GeometryError
    from landscape_cli.evaluation.evaluator import Evaluator, score_columns
    from landscape_cli.geometry.plane import span_plane
    from landscape_cli.io.checkpoint import placed
    from landscape_cli.io.results import Result
    from landscape_cli.measures.missing import samples_recomputed, warn_of_missing

    listen(quiet=terminal.quiet)
    check_result_output(result.output, result.form, result.plot, force=result.force)
    if not margin < float("inf"):
        raise typer.BadParameter(f"--margin must be a finite number, not {margin}")
    place = resolve_device(device)
    checkpoints, model = read_networks([a, b, c], foreign)
    if len({network.normalized is None for network in checkpoints}) > 1:
        say("warning: some of the networks are normalised and some are not", quiet=terminal.quiet)
    networks = [placed(network, place) for network in checkpoints]
    try:
        spanned = span_plane(*networks)
    except GeometryError as error:
        raise GeometryError(f"{', '.join(network.path for network in checkpoints)}: {error}") from error
    loaded = data_of(checkpoints, data, quiet=terminal.quiet)
    xs, ys = spanned.grid(grid, margin)
    nodes = [(x, y) for y in ys for x in xs]
    recomputed = samples_recomputed(model, checkpoints[0].params, loaded.train, bn)
    samples = (len(nodes) + len(networks)) * (recomputed + len(loaded.train.y) + len(loaded.test.y))
    with progress("plane", samples, "samples", quiet=terminal.quiet) as advance:
        splits = {"train": loaded.train, "test": loaded.test}
        recompute_on = "train" if recomputed else None
        evaluator = Evaluator(model, splits, device=place, advance=advance, recompute_on=recompute_on)
        corner_scores = evaluator.evaluate(networks)
        scores = evaluator.evaluate(spanned.network(x, y) for x, y in nodes)
    undecided = [score.undecided for score in scores.values()]
    first = checkpoints[0].params
    warn_of_missing(undecided, "nodes", model=model, params=first, train=loaded.train, bn=bn)
    rows: list[dict[str, Any]] = []
    for k, (x, y) in enumerate(nodes):
        rows.append({"x": x, "y": y} | score_columns(scores, k, loss=loss))
    corners = [
        {"name": name, "network": network.path, "x": x, "y": y} | score_columns(corner_scores, k, loss=loss)
        for k, (name, network, (x, y)) in enumerate(zip("abc", checkpoints, spanned.corners, strict=True))
    ]
    kind = {"binary": True} if latent_names(model) else {}
    body = kind | {"networks": corners, "x": xs, "y": ys, "points": rows}
    provenance = make_provenance(context, device=place, seed=seed, networks=checkpoints, data=loaded)
    if result.plot is not None:
        from landscape_cli.figures.figures import plot_plane

        plot_plane(result.plot, xs, ys, rows, corners, force=result.force)
    emit(
        Result(body, rows, provenance), output=result.output, form=result.form, force=result.force, quiet=terminal.quiet
    )
