"""`landscape flatness`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from landscape_cli.choices import Statistics
from landscape_cli.cli.console import emit, listen, progress
from landscape_cli.cli.options import (
    BatchNorm,
    ComputeOptions,
    DataOptions,
    ModelOptions,
    PictureOptions,
    Strict,
    TerminalOptions,
)
from landscape_cli.cli.strengths import StrengthOptions, choose_perturbation, parse_strengths


def flatness(
    context: typer.Context,
    networks: Annotated[list[Path], typer.Argument(help="Checkpoints of one model.", show_default=False)],
    *,
    strengths: StrengthOptions,
    samples: Annotated[
        int, typer.Option("--samples", min=1, help="Draws, the same for each strength or probability.")
    ] = 20,
    all_parameters: Annotated[
        bool, typer.Option("--all-parameters", help="Perturb biases and norm layers too, not only weights.")
    ] = False,
    test: Annotated[bool, typer.Option("--test", help="Measure on the test set as well.")] = False,
    bn: BatchNorm = Statistics.KEEP,
    data: DataOptions,
    strict: Strict = False,
    foreign: ModelOptions,
    compute: ComputeOptions,
    result: PictureOptions,
    terminal: TerminalOptions,
) -> None:
    """Measure flatness as local energy: how much the error grows when weights are multiplied by noise.

    δE(σ) is the mean of E(θ + σ z ⊙ θ) - E(θ) over draws of z ~ N(0, 1), one for each weight. It does not depend on
    the scale of hidden units, so normalising changes nothing. The JSON result holds every draw.

    Of a binary network each sign is flipped with probability p instead: δE(p). The signs that a smaller p flips in a
    draw, a larger one flips too.

    \b
    Examples:
      landscape flatness sgd.st rsgd.st adv.st
      landscape flatness runs/*.st --sigma 0.05,0.1,0.2 --samples 50 -o flatness.json --plot flatness.png
      landscape flatness binary-*.st --flip 0.01,0.05,0.1
    """  # noqa: D301 - \b keeps the help's lines as they are
    from landscape_cli.binary.layers import latent_names
    from landscape_cli.cli.inputs import data_of, read_networks, resolve_device, symmetry_of
    from landscape_cli.cli.outputs import check_result_output
    from landscape_cli.cli.provenance import make_provenance
    from landscape_cli.evaluation.evaluator import Evaluator
    from landscape_cli.io.checkpoint import to_device
    from landscape_cli.io.results import Result
    from landscape_cli.measures.flatness import perturbed_energy, perturbed_names, warn_of_missing_draws
    from landscape_cli.measures.missing import samples_recomputed

    listen(quiet=terminal.quiet)
    check_result_output(result.output, result.form, result.plot, force=result.force)
    parsed = parse_strengths(strengths)
    device = resolve_device(compute.device)
    checkpoints, model = read_networks(networks, foreign)
    binary, first = bool(latent_names(model)), checkpoints[0]
    kind, levels, text = choose_perturbation(
        parsed, strengths, first.path, binary=binary, all_parameters=all_parameters
    )
    context.params[kind.name] = text  # for the provenance
    needed = strict or not (binary or all_parameters)
    symmetry = symmetry_of(first, model, strict=strict, quiet=terminal.quiet) if needed else None
    names = perturbed_names(model, symmetry, all_parameters=all_parameters)
    loaded = data_of(checkpoints, data, quiet=terminal.quiet)
    splits = {"train": loaded.train} | ({"test": loaded.test} if test else {})
    recomputed = samples_recomputed(model, first.params, loaded.train, bn)
    each = recomputed + sum(len(split.y) for split in splits.values())
    total = len(checkpoints) * (1 + samples * len(levels)) * each
    rows: list[dict[str, Any]] = []
    details: list[dict[str, Any]] = []
    with progress("flatness", total, "samples", quiet=terminal.quiet) as advance:
        recompute_on = "train" if recomputed else None
        evaluator = Evaluator(model, splits, device=device, advance=advance, recompute_on=recompute_on)
        drawn: dict[str, Any] = {"names": names, "samples": samples, "seed": compute.seed}
        for network in checkpoints:
            energy = perturbed_energy(to_device(network, device), evaluator, kind, levels, **drawn)
            warn_of_missing_draws(energy, network.path)
            rows += [{"network": network.path} | row for row in energy.rows()]
            details.append({"network": network.path} | energy.to_dict())
    provenance = make_provenance(context, device=device, seed=compute.seed, networks=checkpoints, data=loaded)
    if result.plot is not None:
        from landscape_cli.figures.flatness import plot_flatness

        plot_flatness(result.plot, rows, kind=kind.name, label=kind.label, force=result.force)
    body = {"perturbed": list(names), "samples": samples, "networks": details}
    written = Result(body, rows, provenance)
    emit(written, output=result.output, form=result.form, force=result.force, quiet=terminal.quiet)
