"""`landscape path --kind connector`: read, align as a set, train, measure, write."""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from landscape_cli.choices import Geometry, Kind
from landscape_cli.cli.connector.options import check_options, vertex_paths
from landscape_cli.cli.console import progress
from landscape_cli.cli.midpoints import midpoint_recipe
from landscape_cli.cli.parsing import given
from landscape_cli.cli.training.watching import watch
from landscape_cli.errors import GeometryError, quoted

if TYPE_CHECKING:
    import torch
    from torch import nn

    from landscape_cli.cli.connector.options import ConnectorOptions
    from landscape_cli.cli.data_options import DataOptions
    from landscape_cli.cli.options import MeasuringOptions, ModelOptions, PictureOptions, TerminalOptions
    from landscape_cli.cli.preprocessing_options import MeetingOptions
    from landscape_cli.data.datasets import DataSet
    from landscape_cli.errors import LandscapeError
    from landscape_cli.io.checkpoint import Checkpoint
    from landscape_cli.measures.connector_result import ConnectorResult
    from landscape_cli.symmetry import Symmetry


def connect(
    context: typer.Context,
    files: Sequence[Path],
    options: ConnectorOptions,
    *,
    data: DataOptions,
    preprocessing: MeetingOptions,
    foreign: ModelOptions,
    compute: MeasuringOptions,
    result: PictureOptions,
    terminal: TerminalOptions,
) -> None:
    """Connect networks by a low-loss set, measure it, and write what came out.

    Args:
        context: of the command `path`, all of whose options it holds.
        files: the networks.
        options: those of connectors.
        data: what to measure on.
        preprocessing: how networks see it.
        foreign: the model of files that are not landscape's.
        compute: where, in which numbers, and the seed.
        result: where the result goes.
        terminal: what is said.

    Raises:
        LandscapeError: if there is no such connector, or an output stands in the way.
        CheckpointError: once the rest is written, if a vertex cannot be.
        BadParameter: if an option does not go with connectors.
        TrainingError: once all is written, if a vertex is missing.
    """
    from landscape_cli.cli.inputs import arithmetic_on, read_networks, resolve_device, symmetry_of
    from landscape_cli.cli.measured_data import data_of
    from landscape_cli.cli.meeting import CommonInputs
    from landscape_cli.cli.outputs import check_result_output, check_room_for, check_written, noting, write_network
    from landscape_cli.cli.provenance import make_provenance
    from landscape_cli.cli.reports.connector import Report
    from landscape_cli.geometry.simplicial import make_complex
    from landscape_cli.measures.connector import POINTS, check_connected, check_target
    from landscape_cli.measures.connector_optimizer import ConnectorOptimizer
    from landscape_cli.measures.path_evaluator import PathEvaluator

    quiet, seed, force, params = terminal.quiet, compute.seed, result.force, context.params
    check_result_output(result, force=force)
    check_options(context)
    recipe = midpoint_recipe(context)
    assert recipe is not None
    check_target(options.train_on, options.orthogonal)
    _check_files(files)
    complex_ = make_complex(len(files), options.shape, options.centres)
    points = params["points"] if given(context, "points") else POINTS
    grid = complex_.grid(points)
    outs = vertex_paths(options.connector_out, complex_, files, (result.output, result.plot), force=force)
    device = resolve_device(compute.device)
    arithmetic = arithmetic_on(device, compute.precision, quiet=quiet)
    networks, model = read_networks(files, foreign)
    names = [network.path for network in networks]
    check_connected(model, names, [network.params for network in networks])
    check_room_for(list(outs.values()), networks[0].params)
    geometry = _choose_geometry(options.geometry, networks)
    symmetry = symmetry_of(networks[0], model, strict=params["strict"], quiet=quiet, claims=networks)
    loaded, networks = data_of(networks, model, data, preprocessing, device, seed=seed, quiet=quiet)
    networks = CommonInputs(model, loaded, symmetry, preprocessing.fold_preprocessing, seed, device).of(networks)
    check_connected(model, names, [network.params for network in networks])
    if params["align"] is not None:
        aligned = _aligned(networks, model, symmetry, loaded, context, device, quiet=quiet)
        check_connected(model, [f"{name}, aligned," for name in names], [network.params for network in aligned])
    else:
        aligned = networks
    paths = PathEvaluator(
        model,
        loaded,
        like=networks[0].params,
        kind=Kind.LINEAR.value,
        points=points,
        loss=params["loss"],
        bn=params["bn"],
        seed=seed,
        device=device,
        precision=arithmetic,
    )
    recipe.with_defaults()
    optimizer = ConnectorOptimizer(
        paths, symmetry, complex_, grid, geometry, options.train_on, options.orthogonal, recipe, seed
    )
    measured = optimizer.optimize(
        aligned,
        watching=lambda: watch(None, 1, quiet=quiet),
        measuring=partial(progress, "connector", unit="samples", quiet=quiet),
    )
    paths.warn_of_missing()
    arithmetic.tell()
    used: dict[str, Any] = {"lr": recipe.learning_rate, "points": points, "shape": complex_.shape, "geometry": geometry}
    provenance = partial(make_provenance, context, device=device, seed=seed, data=loaded, arithmetic=arithmetic, **used)
    errors: list[LandscapeError] = []
    write = partial(write_network, force=force, quiet=quiet)
    written: dict[str, Path] = {}
    for name, vertex in _checkpoints(measured, networks, loaded, provenance(networks=networks)).items():
        refused = write(outs[name], vertex) if name in outs else None
        errors += [] if refused is None else [refused]
        written |= {name: outs[name]} if name in outs and refused is None else {}
    with noting(errors):
        Report(provenance(networks=networks), result, quiet).write(measured, written)
    check_written(errors)


def _check_files(files: Sequence[Path]) -> None:
    """Refuse patterns, which name families.

    Raises:
        BadParameter: naming one.
    """
    for file in files:
        if glob.has_magic(str(file)) and not file.exists():
            raise typer.BadParameter(f"{file} is a pattern: name the networks of a connector one by one, or unquoted")


def _choose_geometry(asked: Geometry | None, networks: Sequence[Checkpoint]) -> Geometry:
    """Return the geometry that is asked for, or else the spherical one if every network is normalised.

    Raises:
        GeometryError: if networks should lie on spheres and do not.
    """
    raw = [network.path for network in networks if network.normalized is None]
    if asked is Geometry.SPHERICAL and raw:
        raise GeometryError(
            f"{raw[0]} is not normalised, so no spherical connector leads there: run "
            f"this first: landscape normalize {quoted(Path(raw[0]))} -o FILE"
        )
    return asked or (Geometry.LINEAR if raw else Geometry.SPHERICAL)


def _aligned(
    networks: Sequence[Checkpoint],
    model: nn.Module,
    symmetry: Symmetry,
    data: DataSet,
    context: typer.Context,
    device: torch.device,
    *,
    quiet: bool,
) -> list[Checkpoint]:
    """Return the networks aligned as a set."""
    from landscape_cli.alignment.sets import align_checkpoints

    params = context.params
    rounds = params["align_rounds"]
    with progress("aligning", (rounds + 1) * len(networks) - 1, "matches", quiet=quiet) as advance:
        return align_checkpoints(
            model,
            networks,
            symmetry,
            method=params["align"].value,
            inputs=data.train.x,
            rounds=rounds,
            seed=params["seed"],
            device=device,
            advance=advance,
        )


def _checkpoints(
    measured: ConnectorResult, networks: Sequence[Checkpoint], data: DataSet, provenance: Mapping[str, Any]
) -> dict[str, Checkpoint]:
    """Return trained vertices as checkpoints, by name, with the history of their networks and this command."""
    from landscape_cli.forward.objectives import record_of
    from landscape_cli.io.checkpoint import Checkpoint
    from landscape_cli.io.results import finite

    checkpoints = {}
    for k, vertex in enumerate(measured.complex.vertices):
        if vertex.trained and vertex.name in measured.trained:
            history = (*(step for index in vertex.of for step in networks[index].history), provenance)
            checkpoints[vertex.name] = Checkpoint(
                measured.trained[vertex.name],
                networks[0].model,
                data.record,
                history=history,
                metrics=finite(measured.metrics(k)),
                preprocessing=data.preprocessing.beside_data,
                form=networks[0].form,
                layout=networks[0].layout,
                origin=networks[0].origin,
                objective=record_of(data.objective),
            )
    return checkpoints
