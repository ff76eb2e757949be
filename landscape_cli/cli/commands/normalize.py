"""`landscape normalize`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from landscape_cli.cli.console import emit, listen, say
from landscape_cli.cli.options import (
    CheckpointOutput,
    ComputeOptions,
    Force,
    Form,
    ModelOptions,
    OutDir,
    Strict,
    TerminalOptions,
)
from landscape_cli.errors import listed

if TYPE_CHECKING:
    from landscape_cli.io.checkpoint import Checkpoint


def normalize(
    context: typer.Context,
    networks: Annotated[list[Path], typer.Argument(help="Checkpoints to normalise.", show_default=False)],
    *,
    output: CheckpointOutput = None,
    out_dir: OutDir = None,
    keep_last_layer: Annotated[
        bool, typer.Option("--keep-last-layer", help="Leave the last layer, and so the loss, as it is.")
    ] = False,
    strict: Strict = False,
    foreign: ModelOptions,
    compute: ComputeOptions,
    force: Force = False,
    form: Form = None,
    terminal: TerminalOptions,
) -> None:
    """Remove the scale symmetry: every hidden unit's incoming weights on a unit sphere.

    The last layer is put on a sphere of radius √outputs: decisions do not change, the loss does. The outputs before
    and after are compared on a probe batch, and nothing is written unless they agree to rounding.

    Binary networks have no scale: their latent weights become their signs, and nothing else changes.

    \b
    Examples:
      landscape normalize a.st -o a_n.st
      landscape normalize runs/*.st --out-dir normal
    """  # noqa: D301 - \b keeps the help's lines as they are
    from dataclasses import replace

    from landscape_cli.cli.inputs import read_networks, resolve_device, symmetry_of
    from landscape_cli.cli.outputs import make_folder, output_paths
    from landscape_cli.cli.provenance import make_provenance
    from landscape_cli.evaluation.equivalence import warn_of_precision
    from landscape_cli.io.checkpoint import write_checkpoint
    from landscape_cli.io.results import Result
    from landscape_cli.normalization.verified import rescaled

    listen(quiet=terminal.quiet)
    outputs = output_paths(networks, output=output, out_dir=out_dir, suffix="", force=force)
    place = resolve_device(compute.device)
    rows: list[dict[str, Any]] = []
    made: list[Checkpoint] = []
    for path in networks:
        [network], model = read_networks([path], foreign)
        if not (made and _alike(network, made[-1])):
            symmetry = symmetry_of(network, model, strict=strict, quiet=terminal.quiet)
        rescaling = rescaled(model, network, symmetry, keep_last_layer=keep_last_layer, seed=compute.seed, device=place)
        changed, exact, difference = rescaling
        warn_of_precision(str(path), difference)
        if symmetry.is_binary:
            say(
                f"{path} is binary: there is no scale to remove; its latent weights become their signs",
                quiet=terminal.quiet,
            )
        if exact.unsettled:
            say(
                f"warning: {path}: the scales of {', '.join(exact.unsettled)} share their tensors so that no one form "
                "was found: they are not removed",
                quiet=terminal.quiet,
            )
        for group, units in exact.degenerate.items():
            say(
                f"{path}: {group} has units without incoming weights or gain: {listed(units, most=10)}",
                quiet=terminal.quiet,
            )
        provenance = make_provenance(context, device=place, seed=compute.seed, networks=[network])
        metrics = {key: value for key, value in network.metrics.items() if keep_last_layer or "loss" not in key}
        made.append(replace(changed, history=(*network.history, provenance), metrics=metrics))
        rows.append(
            {
                "network": str(path),
                "output": str(outputs[len(rows)]),
                "output_factor": exact.output_factor,
                "degenerate_units": sum(map(len, exact.degenerate.values())),
            }
            | difference.columns()
        )
    make_folder(out_dir)
    for path, checkpoint in zip(outputs, made, strict=True):
        write_checkpoint(path, checkpoint, force=force)
        say(f"wrote {path}", quiet=terminal.quiet)
    summary = make_provenance(context, device=place, seed=compute.seed, networks=made)
    emit(Result({"networks": rows}, rows, summary), output=None, form=form, force=force, quiet=terminal.quiet)


def _alike(one: Checkpoint, other: Checkpoint) -> bool:
    """Tell whether two networks have the same symmetry: of one model, in one floating-point type."""
    from landscape_cli.forward.functional import float_type

    return one.model == other.model and float_type(one.params) == float_type(other.params)
