"""`landscape flatness`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from landscape_cli.choices import FlatnessKind, Statistics
from landscape_cli.cli.console import listen
from landscape_cli.cli.data_options import FlatnessPartOptions
from landscape_cli.cli.flatness.curvature_options import CurvatureOptions
from landscape_cli.cli.flatness.energy_options import AllParameters, StrengthOptions
from landscape_cli.cli.flatness.measurement import FlatnessOptions, Measurand, start_measurement
from landscape_cli.cli.flatness.radial_options import RadialOptions
from landscape_cli.cli.options import (
    LARGEST_COUNT,
    BatchNorm,
    MeasuringOptions,
    ModelOptions,
    PictureOptions,
    Strict,
    TerminalOptions,
)
from landscape_cli.cli.preprocessing_options import MeetingOptions
from landscape_cli.cli.sharing import Sharing, SharingOptions


def flatness(
    context: typer.Context,
    networks: Annotated[
        list[Path],
        typer.Argument(help="Checkpoints of one model, or quoted patterns, a family each.", show_default=False),
    ],
    *,
    kind: Annotated[
        FlatnessKind,
        typer.Option(
            "--kind",
            help="What is measured. energy: how the error grows under noise; radial: how it grows as all units turn; "
            "curvature: eigenvalues and trace of the training loss's Hessian.",
        ),
    ] = FlatnessKind.ENERGY,
    strengths: StrengthOptions,
    samples: Annotated[
        int, typer.Option("--samples", min=1, max=LARGEST_COUNT, help="Draws, the same for every network and strength.")
    ] = 20,
    all_parameters: AllParameters = False,
    curvature: CurvatureOptions,
    radial: RadialOptions,
    test: Annotated[bool, typer.Option("--test", help="Measure on the test set as well.")] = False,
    bn: BatchNorm = Statistics.KEEP,
    data: FlatnessPartOptions,
    preprocessing: MeetingOptions,
    strict: Strict = False,
    foreign: ModelOptions,
    compute: MeasuringOptions,
    sharing: SharingOptions,
    result: PictureOptions,
    terminal: TerminalOptions,
) -> None:
    """Measure flatness: by default as local energy, how much the error grows when weights are multiplied by noise.

    δE(σ) is the mean of E(θ + σ z ⊙ θ) - E(θ) over draws of z ~ N(0, 1), one for each weight. It does not depend on
    the scale of hidden units, so normalising changes nothing. The JSON result holds every draw.

    Of a binary network each sign is flipped with probability p instead: δE(p). The signs that a smaller p flips in a
    draw, a larger one flips too.

    With --kind radial every unit turns by the same angle, whatever its layer, in random directions on the spheres that
    normalising puts units on. The angular width is the angle at which the error has grown by --growth in the mean: no
    scale, permutation or sign of units changes it.

    With --kind curvature the largest eigenvalues and the trace of the training loss's Hessian, in multiples of the
    weights: these no scale, permutation or sign of units changes either.

    \b
    Examples:
      landscape flatness sgd.st rsgd.st adv.st
      landscape flatness runs/*.st --sigma 0.05,0.1,0.2 --samples 50 -o flatness.json --plot flatness.png
      landscape flatness binary-*.st --flip 0.01,0.05,0.1
      landscape flatness runs/*.st --kind radial -o width.json --plot width.png
      landscape flatness runs/*.st --kind curvature --eigenvalues 3 --curvature-samples 1000
      landscape flatness a.st --kind curvature --density --smallest -o spectrum.json --plot spectrum.png
      landscape flatness a.st --kind radial --directions random,gradient,b.st --angles 2,5,10,20,40 --loss
    """  # noqa: D301 - \b keeps the help's lines as they are
    from landscape_cli.cli.inputs import arithmetic_on, read_networks, resolve_device, symmetry_of
    from landscape_cli.cli.measured_data import data_of
    from landscape_cli.cli.meeting import CommonInputs
    from landscape_cli.cli.outputs import check_result_output
    from landscape_cli.cli.pairs import expand, is_pattern, listing
    from landscape_cli.cli.provenance import make_provenance
    from landscape_cli.cli.reports.flatness import write_flatness

    quiet, seed = terminal.quiet, compute.seed
    listen(quiet=quiet)
    shared = Sharing(context, sharing, result, quiet=quiet)
    check_result_output(result, force=shared.result.force)
    options = FlatnessOptions(
        context,
        strengths=strengths,
        all_parameters=all_parameters,
        curvature=curvature,
        radial=radial,
        samples=samples,
        test=test,
        bn=bn,
    )
    measurement = start_measurement(context, kind, options)
    families = expand(networks) if any(map(is_pattern, networks)) else {}
    networks = [file for files in families.values() for file in files] or networks
    if preprocessing.fold_preprocessing and not measurement.files:
        raise typer.BadParameter("--fold-preprocessing goes with --directions FILE, for networks that others turn to")
    if compute.precision is not None and kind is FlatnessKind.CURVATURE:
        raise typer.BadParameter("--precision is for errors, and --kind curvature differentiates: leave it out")
    device = resolve_device(compute.device)
    arithmetic = arithmetic_on(device, compute.precision, quiet=quiet)
    read, model = read_networks([*networks, *measurement.files], foreign)
    checkpoints, further = read[: len(networks)], read[len(networks) :]
    context.params |= measurement.choose(checkpoints, model)  # for the provenance
    needed = strict or measurement.needs_symmetry
    symmetry = symmetry_of(checkpoints[0], model, strict=strict, quiet=quiet, claims=checkpoints) if needed else None
    measurement.prepare(model, symmetry)
    loaded, read = data_of(read, model, data, preprocessing, device, seed=seed, quiet=quiet)
    checkpoints, further = read[: len(networks)], read[len(networks) :]
    common = CommonInputs(model, loaded, symmetry, preprocessing.fold_preprocessing, seed, device)
    measurand = Measurand(checkpoints, further, model, symmetry, loaded, common, device, arithmetic, seed, quiet)
    provenance = make_provenance(context, device=device, seed=seed, networks=read, data=loaded)
    frame, values = measurement.measure(measurand, shared.begin(provenance))
    frame = replace(frame, families=listing(families))
    shared.finish(frame, values, provenance, write_flatness, arithmetic)
