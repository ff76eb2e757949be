"""`landscape plane`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from landscape_cli.choices import Statistics, Third
from landscape_cli.cli.console import check_networks, listen, progress
from landscape_cli.cli.data_options import PartOptions
from landscape_cli.cli.options import BatchNorm, Loss, MeasuringOptions, ModelOptions, PictureOptions, TerminalOptions
from landscape_cli.cli.preprocessing_options import MeetingOptions
from landscape_cli.cli.sharing import Sharing, SharingOptions
from landscape_cli.cli.surroundings.options import PlaneOptions
from landscape_cli.cli.usage import errors_of_usage

MOST_NODES = 3162
"""Along each side: ten million in all."""


def plane(
    context: typer.Context,
    a: Annotated[Path, typer.Argument(help="The network at the origin.", show_default=False)],
    b: Annotated[Path | None, typer.Argument(help="The network on the x axis.", show_default=False)] = None,
    c: Annotated[Path | None, typer.Argument(help="The network above it.", show_default=False)] = None,
    more: Annotated[
        list[Path] | None, typer.Argument(help="Further networks, for --directions pca.", show_default=False)
    ] = None,
    *,
    third: Annotated[
        Third | None,
        typer.Option(
            "--third",
            help="In place of the third network: origin, the zero network; random, the first plus a random direction "
            "in which each unit's weights are as long as its own (binary: random signs). Of one network, random is two "
            "such directions.",
        ),
    ] = None,
    grid: Annotated[int, typer.Option("--grid", min=2, max=MOST_NODES, help="Nodes along each side.")] = 25,
    margin: Annotated[
        float,
        typer.Option("--margin", min=0.0, help="Margin round what is shown, as a fraction of its extent."),
    ] = 0.2,
    around: PlaneOptions,
    loss: Loss = False,
    bn: BatchNorm = Statistics.KEEP,
    data: PartOptions,
    preprocessing: MeetingOptions,
    foreign: ModelOptions,
    compute: MeasuringOptions,
    sharing: SharingOptions,
    result: PictureOptions,
    terminal: TerminalOptions,
) -> None:
    """Measure the error on a grid in the plane through three networks, or through fewer and what stands in for some.

    Distances in the plane are Euclidean; the coordinates of the three networks are part of the JSON result.

    Of binary networks the plane is that of their latent weights; at every node the network is the signs there.

    With --directions it is a plane through one network, or the principal plane of a trajectory.

    \b
    Examples:
      landscape plane a.st b.st b_aligned.st -o plane.json --plot plane.png
      landscape plane a.st b.st c.st --grid 51 --margin 0.5 --loss -o plane.csv
      landscape plane a.st b.st c.st --project 'others/*.st' -o plane.json
      landscape plane a.st b.st --third origin --plot radial.png
      landscape plane a.st --third random --seed 1
      landscape plane a.st --directions random --range -1,1 --loss --plot around.png
      landscape plane 'run/a-epoch*.st' --directions pca --plot trajectory.png
      landscape plane a.st --directions gradient,hessian --range auto --project b.st
    """  # noqa: D301 - \b keeps the help's lines as they are
    from landscape_cli.cli.inputs import arithmetic_on, read_networks, resolve_device, symmetry_of
    from landscape_cli.cli.measured_data import data_of
    from landscape_cli.cli.meeting import CommonInputs
    from landscape_cli.cli.outputs import check_result_output
    from landscape_cli.cli.provenance import make_provenance
    from landscape_cli.cli.reports.plane import write_plane
    from landscape_cli.cli.surroundings.command import look_around, projected_files
    from landscape_cli.evaluation.evaluator import Evaluator
    from landscape_cli.evaluation.splits import named_splits
    from landscape_cli.measures.corners import check_third, find_corners, span_corners, tensors_on
    from landscape_cli.measures.missing import samples_recomputed
    from landscape_cli.measures.plane import check_grid, warn_of_missing_nodes
    from landscape_cli.measures.plane_frame import measure_nodes, plane_frame

    seed = compute.seed
    listen(quiet=terminal.quiet)
    files = [path for path in (a, b, c, *(more or [])) if path is not None]
    if around.directions is not None:
        if third is not None:
            raise typer.BadParameter("--third stands in for a network, and --directions needs none: leave one out")
        shared = Sharing(context, sharing, result, quiet=terminal.quiet)
        groups: dict[str, Any] = {"data": data, "preprocessing": preprocessing, "foreign": foreign, "compute": compute}
        groups |= {"shared": shared, "terminal": terminal}
        look_around(context, files, around, points=grid, margin=margin, loss=loss, bn=bn, **groups)
        return
    around.check_unused(context)
    if more:
        raise typer.BadParameter(f"a plane goes through three networks: leave out {more[0]}, or add --directions pca")
    shared = Sharing(context, sharing, result, quiet=terminal.quiet)
    check_result_output(result, force=shared.result.force)
    projected = projected_files(around.project)
    paths = [*files, *projected]
    with errors_of_usage():
        check_grid(grid, margin)
        check_third(len(files), third, seed)
    compute_on = resolve_device(compute.device)
    arithmetic = arithmetic_on(compute_on, compute.precision, quiet=terminal.quiet)
    networks, model = read_networks(paths, foreign)
    fold, quiet = preprocessing.fold_preprocessing, terminal.quiet
    symmetry = symmetry_of(networks[0], model, strict=False, quiet=quiet) if fold else None
    loaded, networks = data_of(networks, model, data, preprocessing, compute_on, seed=seed, quiet=quiet)
    networks = CommonInputs(model, loaded, symmetry, fold, seed, compute_on).of(networks)
    corners = find_corners(
        model, networks[: len(files)], third, example=networks[0].model.example(), seed=seed, device=compute_on
    )
    spanned = span_corners(corners)
    splits = named_splits(loaded, model)
    recomputed = samples_recomputed(model, networks[0].params, loaded.train, bn)
    evaluator = Evaluator(
        model, splits, device=compute_on, recompute_on="train" if recomputed else None, precision=arithmetic
    )
    further = {network.path: tensors_on(network, compute_on) for network in networks[len(files) :]}
    frame = plane_frame(spanned, corners, evaluator, grid=grid, margin=margin, loss=loss, project=further)
    provenance = make_provenance(context, device=compute_on, seed=seed, networks=networks, data=loaded)
    check_networks(frame.items)  # before each is given a key
    share = shared.begin(provenance)
    wanted = share.wanted(frame.groups, block=evaluator.block(corners.networks[0]))
    samples = len(wanted) * (recomputed + evaluator.samples)
    with progress("plane", samples, "samples", quiet=quiet, networks=len(wanted)) as advance:
        evaluator.advance = advance
        values = share.collect(measure_nodes(frame, spanned, corners, evaluator, wanted, further))
    if share.is_whole:
        warn_of_missing_nodes(frame.result(values), model, networks[0].params, loaded.train, bn)
    shared.finish(frame, values, provenance, write_plane, arithmetic)
