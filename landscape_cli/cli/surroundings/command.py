"""`landscape plane --directions` and `landscape path --direction`: read, find directions, measure, write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from landscape_cli.choices import LineDirection, Statistics
from landscape_cli.cli.console import check_networks, progress
from landscape_cli.cli.pairs import check_no_patterns, expand
from landscape_cli.cli.parsing import flag
from landscape_cli.cli.surroundings.options import PlaneOptions, SurroundingsOptions, in_order
from landscape_cli.cli.usage import errors_of_usage
from landscape_cli.measures.surroundings_settings import NAMES

if TYPE_CHECKING:
    from landscape_cli.cli.data_options import PartOptions
    from landscape_cli.cli.options import MeasuringOptions, ModelOptions, TerminalOptions
    from landscape_cli.cli.preprocessing_options import MeetingOptions
    from landscape_cli.cli.sharing import Sharing

MARGIN = 0.2
"""Round a network that lies on a line, where planes have an option."""


def look_around(
    context: typer.Context,
    files: Sequence[Path],
    options: SurroundingsOptions,
    *,
    points: int,
    margin: float,
    loss: bool,
    bn: Statistics,
    data: PartOptions,
    preprocessing: MeetingOptions,
    foreign: ModelOptions,
    compute: MeasuringOptions,
    shared: Sharing,
    terminal: TerminalOptions,
) -> None:
    """Measure a line or plane through one network, and write what came out.

    Args:
        context: of the command, all of whose options it holds.
        files: the network; for principal directions all of them, in order.
        options: where to, and how far.
        points: along each axis.
        margin: round networks that are shown.
        loss: whether losses are reported.
        bn: what becomes of batch-norm statistics.
        data: what to measure on.
        preprocessing: how networks see it.
        foreign: the model of files that are not landscape's.
        compute: where, in which numbers, and the seed.
        shared: which part of it falls to this process, and where the result goes.
        terminal: what is said.

    Raises:
        LandscapeError: if there is no such line or plane, or an output stands in the way.
        BadParameter: if more networks are named than it goes through.
    """
    from landscape_cli.cli.inputs import arithmetic_on, read_networks, resolve_device, symmetry_of
    from landscape_cli.cli.measured_data import data_of
    from landscape_cli.cli.meeting import CommonInputs
    from landscape_cli.cli.outputs import check_result_output
    from landscape_cli.cli.provenance import make_provenance
    from landscape_cli.cli.reports.plane import write_plane
    from landscape_cli.measures.plane import check_grid
    from landscape_cli.measures.surroundings_evaluator import SurroundingsEvaluator

    quiet, seed = terminal.quiet, compute.seed
    check_result_output(shared.result, force=shared.result.force)
    settings = options.settings()
    with errors_of_usage():
        check_grid(points, margin)
    principal = LineDirection.PCA in settings.counts
    path = _chosen(files, options, principal=principal)
    towards = [Path(name) for name in settings.counts if name not in NAMES]
    projected = projected_files(options.project if isinstance(options, PlaneOptions) else None)
    every = [path[-1], *path[:-1], *towards, *projected]
    device = resolve_device(compute.device)
    arithmetic = arithmetic_on(device, compute.precision, quiet=quiet)
    networks, model = read_networks(every, foreign)
    needed = settings.needs_symmetry or preprocessing.fold_preprocessing
    symmetry = symmetry_of(networks[0], model, strict=False, quiet=True, claims=networks) if needed else None
    loaded, networks = data_of(networks, model, data, preprocessing, device, seed=seed, quiet=quiet)
    networks = CommonInputs(model, loaded, symmetry, preprocessing.fold_preprocessing, seed, device).of(networks)
    params = [network.params for network in networks]
    base, others = params[0], params[1 : len(path)]
    further = dict(zip(map(str, [*towards, *projected]), params[len(path) :], strict=True))
    evaluator = SurroundingsEvaluator(
        model,
        loaded,
        base,
        settings,
        name=networks[0].path,
        targets={str(name): further[str(name)] for name in towards},
        trajectory=dict(zip(map(str, path), [*others, base], strict=True)) if principal else {},
        symmetry=symmetry,
        loss=loss,
        bn=bn,
        seed=seed,
        device=device,
        precision=arithmetic,
    )
    made: dict[str, Any] = {"device": device, "seed": seed, "networks": networks, "data": loaded}
    provenance = make_provenance(context, **made)
    count = points**settings.axes + len(projected)
    check_networks(count)  # before each is given a key
    share = shared.begin(provenance)
    count = ceil(count / share.count)
    with progress("surroundings", evaluator.samples(count), "samples", quiet=quiet, networks=count) as advance:
        shown = {str(name): further[str(name)] for name in projected}
        frame = evaluator.lay_out(points=points, margin=margin, project=shown, advance=advance)
        values = evaluator.measure(frame, share)
    shared.finish(frame, values, provenance, write_plane, arithmetic)


def _chosen(files: Sequence[Path], options: SurroundingsOptions, *, principal: bool) -> Sequence[Path]:
    """Return the networks whose principal directions are meant, in order; or the one that others lead from.

    Raises:
        BadParameter: if more are named than there should be, or too few but for repetitions.
    """
    if principal:
        chosen = in_order([file for family in expand(files).values() for file in family])
        for file, count in Counter(files).items():
            if count > 1 and len(chosen) <= options.axes:
                raise typer.BadParameter(
                    f"{file} is named {count} times: principal directions take {options.axes + 1} different networks"
                )
        return chosen
    if files[1:]:
        more = "; show further ones with --project" if isinstance(options, PlaneOptions) else ""
        raise typer.BadParameter(f"{flag(options.named_by)} leads from one network: leave out {files[1]}{more}")
    check_no_patterns(files)
    return files


def projected_files(named: Sequence[str] | None) -> list[Path]:
    """Return the networks that are to be shown in a plane, by files or patterns.

    Raises:
        CheckpointError: if a pattern matches no file, or one is named twice.
    """
    return [file for family in expand([Path(name) for name in named or ()]).values() for file in family]
