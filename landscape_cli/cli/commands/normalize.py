"""`landscape normalize`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from landscape_cli.choices import ObjectiveName
from landscape_cli.cli.console import emit, listen, say
from landscape_cli.cli.options import (
    CheckpointOutput,
    ComputeOptions,
    ExportOptions,
    Force,
    Form,
    ModelOptions,
    OutDir,
    ResultOptions,
    Strict,
    TerminalOptions,
)
from landscape_cli.cli.preprocessing_options import PreprocessingOptions

DECIDED = [name.value for name in ObjectiveName if name is not ObjectiveName.REGRESSION]
"""Objectives whose decisions a positive factor leaves as they are."""

if TYPE_CHECKING:
    from landscape_cli.io.checkpoint import Checkpoint


def normalize(
    context: typer.Context,
    networks: Annotated[list[Path], typer.Argument(help="Checkpoints to normalise.", show_default=False)],
    *,
    output: CheckpointOutput = None,
    out_dir: OutDir = None,
    back: ExportOptions,
    keep_last_layer: Annotated[
        bool, typer.Option("--keep-last-layer", help="Leave the last layer, and so the loss, as it is.")
    ] = False,
    preprocessing: PreprocessingOptions,
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
      landscape normalize a.pth --model torchvision:resnet18 --input-shape 3,224,224 -o a_n.pth
    """  # noqa: D301 - \b keeps the help's lines as they are
    from dataclasses import replace

    from landscape_cli.cli.inputs import open_networks, symmetry_of, with_preprocessing
    from landscape_cli.cli.outputs import (
        check_written,
        export_paths,
        noting,
        output_paths,
        write_exports,
        write_networks,
    )
    from landscape_cli.cli.provenance import make_provenance
    from landscape_cli.cli.reports.normalization import normalization_remarks, normalization_row
    from landscape_cli.errors import shown
    from landscape_cli.evaluation.equivalence import warn_of_precision
    from landscape_cli.forward.parts import RESCALED
    from landscape_cli.io.results import Result
    from landscape_cli.normalization.verified import normalize_checkpoint

    listen(quiet=terminal.quiet)
    outputs = output_paths(networks, output=output, out_dir=out_dir, suffix="", force=force)
    stems = [{"{name}": path.stem} for path in networks]
    exports = export_paths(back.export, stems, outputs, force=force, out_dir=out_dir)
    rows: list[dict[str, object]] = []
    normalized: list[Checkpoint] = []
    for path, out in zip(networks, outputs, strict=True):
        [network], model, device = open_networks([path], foreign, compute.device, plain=RESCALED)
        network = with_preprocessing(network, preprocessing)
        if not (normalized and _share_symmetry(network, normalized[-1])):
            symmetry = symmetry_of(network, model, strict=strict, quiet=terminal.quiet)
        changed, normalization = normalize_checkpoint(
            model, network, symmetry, keep_last_layer=keep_last_layer, seed=compute.seed, device=device
        )
        warn_of_precision(str(path), normalization.proof)
        aim = shown(str((network.objective or {}).get("name", ObjectiveName.CLASSIFICATION.value)))
        if aim not in DECIDED and not keep_last_layer:
            say(
                f"warning: {path} was trained for {aim}, and its outputs are now {normalization.output_factor:.3g} "
                "times what they were: --keep-last-layer keeps them",
                quiet=terminal.quiet,
            )
        for remark in normalization_remarks(path, symmetry, normalization):
            say(remark, quiet=terminal.quiet)
        provenance = make_provenance(context, device=device, seed=compute.seed, networks=[network])
        scaled = () if keep_last_layer else ("_loss", "_r2")
        metrics = {key: value for key, value in network.metrics.items() if not key.endswith(scaled)}
        normalized.append(replace(changed, history=(*network.history, provenance), metrics=metrics))
        rows.append(normalization_row(path, out, normalization))
    written = write_networks(outputs, normalized, out_dir=out_dir, force=force, quiet=terminal.quiet)
    errors = [*written, *write_exports(exports, normalized, force=force, quiet=terminal.quiet)]
    summary = make_provenance(context, device=device, seed=compute.seed, networks=normalized)
    with noting(errors):
        emit(Result({"networks": rows}, rows, summary), ResultOptions(form=form), quiet=terminal.quiet)
    check_written(errors)


def _share_symmetry(first: Checkpoint, second: Checkpoint) -> bool:
    """Tell whether two networks have one symmetry: they are of one model, in one floating-point type."""
    from landscape_cli.forward.functional import float_type

    return first.model == second.model and float_type(first.params) == float_type(second.params)
