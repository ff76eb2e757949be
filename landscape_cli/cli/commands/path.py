"""`landscape path`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from landscape_cli.choices import Kind, Method, Statistics
from landscape_cli.cli.connector.options import ConnectorOptions, check_options
from landscape_cli.cli.console import listen
from landscape_cli.cli.data_options import PartOptions
from landscape_cli.cli.merging import NetworkOptions
from landscape_cli.cli.options import (
    Align,
    BatchNorm,
    Loss,
    MeasuringOptions,
    ModelOptions,
    Pairs,
    PictureOptions,
    Strict,
    TerminalOptions,
)
from landscape_cli.cli.parsing import given
from landscape_cli.cli.path_options import (
    BothWays,
    ByOptimizer,
    BySchedule,
    From,
    MidpointBatch,
    MidpointEpochs,
    MidpointMomentum,
    MidpointOut,
    MidpointRate,
    Midpoints,
    MidpointUntil,
    OptimizeMidpoint,
    Orders,
    PathKind,
    Points,
    Repair,
    To,
)
from landscape_cli.cli.preprocessing_options import MeetingOptions
from landscape_cli.cli.sharing import Sharing, SharingOptions
from landscape_cli.cli.surroundings.options import LineOptions, check_line

if TYPE_CHECKING:
    from torch import nn

    from landscape_cli.alignment.pairs import PairAligner
    from landscape_cli.io.checkpoint import Checkpoint
    from landscape_cli.symmetry import Symmetry


def path(
    context: typer.Context,
    start: Annotated[Path, typer.Argument(help="The network at τ = 0, or with --pairs a pattern.", show_default=False)],
    end: Annotated[
        Path | None,
        typer.Argument(
            help="The network at τ = 1; with --pairs another pattern, or the same for one family.", show_default=False
        ),
    ] = None,
    more: Annotated[
        list[Path] | None,
        typer.Argument(help="Further families, with --pairs, or networks of a connector.", show_default=False),
    ] = None,
    *,
    kind: PathKind = None,
    points: Points = 21,
    begin: From = 0.0,
    stop: To = 1.0,
    orders: Orders = 10,
    pairs: Pairs = None,
    both_ways: BothWays = False,
    align: Align = None,
    optimize_midpoint: OptimizeMidpoint = False,
    midpoints: Midpoints = 1,
    epochs: MidpointEpochs = 20,
    lr: MidpointRate = None,
    optimizer: ByOptimizer = None,
    lr_schedule: BySchedule = None,
    momentum: MidpointMomentum = 0.9,
    batch_size: MidpointBatch = 128,
    until_error: MidpointUntil = 0.0,
    midpoint_out: MidpointOut = None,
    network: NetworkOptions,
    connector: ConnectorOptions,
    around: LineOptions,
    loss: Loss = False,
    bn: BatchNorm = Statistics.KEEP,
    repair: Repair = False,
    data: PartOptions,
    preprocessing: MeetingOptions,
    strict: Strict = False,
    foreign: ModelOptions,
    compute: MeasuringOptions,
    sharing: SharingOptions,
    result: PictureOptions,
    terminal: TerminalOptions,
) -> None:
    """Measure the error along the path between two networks, or many pairs, and its barrier.

    The barrier is the largest error along the path (max); also given: how far that lies above the worse end
    (above_ends), and above the line between the errors of the ends, at its highest (above_line).

    Between binary networks the path is a shortest one: the signs that differ flip in a random order. Errors are means
    over several orders, with the deviation over them.

    With --optimize-midpoint the middle of the path is trained, and the path leads through it in two pieces.

    With --direction it is a line through one network.

    With --kind connector it is no path but a set through two networks or more: simplices on them and on new vertices,
    which start at barycentres and are trained.

    \b
    Examples:
      landscape path a.st b.st
      landscape path a.st --direction gradient --range auto --loss --plot line.png
      landscape path a_n.st b_aligned.st --kind geodesic --points 41 --loss -o path.json --plot path.png
      landscape path a_n.st b_aligned.st --kind geodesic | jq .barrier.train.max
      landscape path a.st b_aligned.st --bn recompute    # for models with batch-norm
      landscape path a.st b_aligned.st --from -0.5 --to 1.5
      landscape path a.st b_aligned.st --repair          # for models without
      landscape path a.st b.st --align weight --optimize-midpoint --midpoint-out middle.st
      landscape path a.st b.st --align weight --bn recompute --network-at 0.5 --network-out merged.pt
      landscape path 'n/sgd-*.st' 'n/adv-*.st' --pairs all --align cosine --kind geodesic -o paths.json
      landscape path binary-1.st binary-2.st --align cosine --orders 20 --plot flips.png
      landscape path a.st b.st c.st --kind connector --align cosine --connector-out 'c-{vertex}.st' --plot c.png
    """  # noqa: D301 - \b keeps the help's lines as they are
    from landscape_cli.cli.inputs import arithmetic_on, read_networks, resolve_device, symmetry_of
    from landscape_cli.cli.measured_data import data_of
    from landscape_cli.cli.meeting import CommonInputs
    from landscape_cli.cli.merging import networks_at
    from landscape_cli.cli.midpoints import (
        midpoint_paths,
        midpoint_recipe,
        recorded_recipe,
        trained_alike,
    )
    from landscape_cli.cli.outputs import check_result_output, check_room_for, check_written
    from landscape_cli.cli.pairs import both_ways as with_the_way_back
    from landscape_cli.cli.pairs import choose, choose_two
    from landscape_cli.cli.paths import MidpointTraining, PathMeasurement
    from landscape_cli.cli.provenance import make_provenance
    from landscape_cli.cli.surroundings.command import MARGIN, look_around
    from landscape_cli.measures.path_evaluator import PathEvaluator

    quiet, seed = terminal.quiet, compute.seed
    listen(quiet=quiet)
    named = more or []
    groups: dict[str, Any] = {"data": data, "preprocessing": preprocessing, "foreign": foreign, "compute": compute}
    groups |= {"result": result, "terminal": terminal}
    if kind is Kind.CONNECTOR and around.direction is None:
        sharing.refuse("--kind connector")
    shared = Sharing(context, sharing, result, quiet=quiet)
    if around.direction is not None:
        check_line(context)
        files = [file for file in (start, end, *named) if file is not None]
        del groups["result"]
        look_around(context, files, around, points=points, margin=MARGIN, loss=loss, bn=bn, shared=shared, **groups)
        return
    around.check_unused(context)
    if end is None:
        one = "name the family twice for pairs within it" if pairs is not None else "name two, or add --direction"
        raise typer.BadParameter(f"a path leads from one network to another: {one}")
    if kind is Kind.CONNECTOR:
        from landscape_cli.cli.connector.command import connect

        connect(context, [start, end, *named], connector, **groups)
        return
    check_result_output(result, force=shared.result.force)
    check_options(context)
    recipe = midpoint_recipe(context)
    if repair and recipe is not None:
        raise typer.BadParameter("--repair is for paths without a trained midpoint: leave it or the other out")
    if (begin, stop) != (0, 1) and optimize_midpoint:
        raise typer.BadParameter("--from and --to are for paths without a trained midpoint: leave them or it out")
    if both_ways and pairs is None:
        raise typer.BadParameter("--both-ways goes with --pairs: for two networks name them in the other order")
    chosen = choose_two(start, end, named) if pairs is None else choose([start, end, *named], pairs)
    chosen = with_the_way_back(chosen) if both_ways else chosen
    ends = [(chosen.files[pair.start], chosen.files[pair.end]) for pair in chosen.pairs]
    outs = midpoint_paths(midpoint_out, ends, (result.output, result.plot), force=shared.replaces)
    wanted = networks_at(network, ends, (result.output, result.plot, *outs), force=shared.replaces)
    device = resolve_device(compute.device)
    arithmetic = arithmetic_on(device, compute.precision, quiet=quiet)
    networks, model = read_networks(chosen.files, foreign)
    kind = _choose_kind(context, networks, model)
    written = [*outs, *(path for each in wanted for at in each for path in (at.output, at.export))]
    check_room_for([path for path in written if path is not None], networks[0].params)
    if recipe is not None:
        recipe = trained_alike(recipe, context.params, networks).with_defaults(binary=kind.load().binary)
    needed = strict or kind.load().needs_symmetry or align is not None or recipe is not None or repair
    needed |= preprocessing.fold_preprocessing
    symmetry = symmetry_of(networks[0], model, strict=strict, quiet=quiet, claims=networks) if needed else None
    loaded, networks = data_of(networks, model, data, preprocessing, device, seed=seed, quiet=quiet)
    common = CommonInputs(model, loaded, symmetry, preprocessing.fold_preprocessing, seed, device)
    common.check([networks[pair.start], networks[pair.end]] for pair in chosen.pairs)
    used: dict[str, Any] = {"kind": kind} | ({} if recipe is None else recorded_recipe(recipe))
    provenance = partial(make_provenance, context, device=device, seed=seed, data=loaded, arithmetic=arithmetic, **used)

    inputs = loaded.by_network(lambda seen: seen.train.x)
    make_aligner = partial(_make_aligner, model, networks, symmetry, inputs=inputs, seed=seed, device=device)
    aligner = None if align is None else make_aligner(align)
    training = None
    if recipe is not None:
        assert symmetry is not None
        fitting = aligner or make_aligner(Method.COSINE)
        training = MidpointTraining(recipe, midpoints, connector.train_on, symmetry, fitting, seed, outs)
    setting: dict[str, Any] = {"kind": kind, "symmetry": symmetry, "points": points, "orders": orders, "loss": loss}
    setting |= {"bn": bn, "repair": repair, "beyond": (begin, stop), "seed": seed, "device": device}
    evaluator_on = partial(PathEvaluator, model, like=networks[0].params, precision=arithmetic, **setting)
    measurement = PathMeasurement(
        networks, chosen, wanted, common, aligner, training, evaluator_on, arithmetic, provenance, shared, quiet
    )
    measurement.measure()
    check_written(shared.errors)


def _choose_kind(context: typer.Context, networks: Sequence[Checkpoint], model: nn.Module) -> Kind:
    """Return the kind of the paths, checking that there are such paths between the networks.

    Raises:
        GeometryError: if there are none.
        BadParameter: if `--orders` is given for paths that have none.
    """
    from landscape_cli.errors import GeometryError, LandscapeWarning, quoted
    from landscape_cli.measures.path_kinds import suitable_kind

    kind = suitable_kind(model, context.params["kind"], name=networks[0].path)
    if given(context, "orders") and not kind.load().random:
        raise typer.BadParameter("--orders is for binary networks: leave it out")
    if kind.load().needs_normalized:
        for network in networks:
            if network.normalized is None:
                raise GeometryError(
                    f"{network.path} is not normalised, so no {kind.value} leads there: run "
                    f"this first: landscape normalize {quoted(Path(network.path))} -o FILE"
                )
    if len({network.normalized is None for network in networks}) > 1:
        warnings.warn("some of the networks are normalised and some are not", LandscapeWarning, stacklevel=2)
    return kind


def _make_aligner(
    model: nn.Module, networks: Sequence[Checkpoint], symmetry: Symmetry | None, method: Method, **setting: Any
) -> PairAligner:
    """Return what aligns pairs of the networks."""
    from landscape_cli.alignment.pairs import PairAligner

    assert symmetry is not None
    return PairAligner(model, networks[0], symmetry, method=method.value, **setting)
