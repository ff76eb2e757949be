"""`landscape align`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from landscape_cli.alignment.defaults import ALIGN_SAMPLES, ORDERS
from landscape_cli.choices import Format, Method
from landscape_cli.cli.console import emit, listen, progress, say
from landscape_cli.cli.learning import ON_DATA, LearningOptions, check_used, learned_remark
from landscape_cli.cli.options import (
    LARGEST_COUNT,
    CheckpointOutput,
    ComputeOptions,
    DataOptions,
    Force,
    Form,
    ModelOptions,
    OutDir,
    PreprocessingOptions,
    Strict,
    TerminalOptions,
)

if TYPE_CHECKING:
    from landscape_cli.alignment.align import Alignment
    from landscape_cli.alignment.verified import PairAligner
    from landscape_cli.io.checkpoint import Checkpoint


def align(
    context: typer.Context,
    reference: Annotated[Path, typer.Argument(help="The network whose units keep their order.", show_default=False)],
    networks: Annotated[
        list[Path] | None,
        typer.Argument(help="Networks to permute, at least one; none with --explain.", show_default=False),
    ] = None,
    *,
    output: CheckpointOutput = None,
    out_dir: OutDir = None,
    method: Annotated[
        Method,
        typer.Option(
            "--method",
            help="How to match: cosine of incoming weights, weight (all of them), activation (on data), learned (the "
            "loss on the path, by gradients).",
        ),
    ] = Method.COSINE,
    orders: Annotated[
        int,
        typer.Option(
            "--orders",
            min=1,
            max=LARGEST_COUNT,
            help="Descents of --method weight or learned, each in a random order; best kept.",
        ),
    ] = ORDERS,
    samples: Annotated[
        int,
        typer.Option(
            "--samples",
            min=2,
            max=LARGEST_COUNT,
            help="Training samples that --method activation correlates units on, or learned learns on.",
        ),
    ] = ALIGN_SAMPLES,
    learning: LearningOptions,
    data: DataOptions,
    preprocessing: PreprocessingOptions,
    permutations: Annotated[
        Path | None, typer.Option("--permutations", help="Also save the permutations and signs, as JSON.")
    ] = None,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Only show what the symmetries of one network are, and what is fixed and why; nothing is written.",
        ),
    ] = False,
    strict: Strict = False,
    foreign: ModelOptions,
    compute: ComputeOptions,
    force: Force = False,
    form: Form = None,
    terminal: TerminalOptions,
) -> None:
    """Remove the permutation symmetry: permute hidden units to match a reference network's.

    Units whose sign is free are flipped to match, too; of binary networks the signs of the weights are what is matched.
    Reports the mean cosine similarity of matched units, group by
    group, before and after. The outputs before and after are compared on a probe batch, and nothing is written unless
    they agree to rounding.

    \b
    Examples:
      landscape align a.st b.st -o b_aligned.st
      landscape align a.st b.st c.st --out-dir aligned --permutations aligned/permutations.json
      landscape align a.st b.st -o b_aligned.st --method activation --samples 5000
      landscape align a.st b.st -o b_learned.st --method learned --epochs 20
      landscape align --explain a.st
    """  # noqa: D301 - \b keeps the help's lines as they are
    from dataclasses import replace
    from functools import partial

    from landscape_cli.alignment.verified import PairAligner
    from landscape_cli.cli.inputs import data_of, open_networks, symmetry_of, with_preprocessing
    from landscape_cli.cli.outputs import check_written, write_networks
    from landscape_cli.cli.preprocessing import CommonInputs
    from landscape_cli.cli.provenance import make_provenance
    from landscape_cli.cli.reports.alignment import alignment_remarks, alignment_result, show, write_permutations
    from landscape_cli.errors import ResultError

    listen(quiet=terminal.quiet)
    if explain:
        _explain(context, reference, foreign, compute, strict=strict, form=form, quiet=terminal.quiet)
        return
    if not networks:
        raise typer.BadParameter(
            f"there is nothing to permute: name one or more networks after the reference {reference}, or add --explain"
        )
    check_used(context, method)
    learns = learning.learning() if method is Method.LEARNED else None
    outputs = _checked_outputs(networks, output, out_dir, permutations, force=force)
    checkpoints, model, device = open_networks([reference, *networks], foreign, compute.device)
    target = checkpoints[0]
    symmetry = symmetry_of(target, model, strict=strict, quiet=terminal.quiet, claims=checkpoints)
    loaded, seeing = None, checkpoints
    if method in ON_DATA:
        loaded, seeing = data_of(
            checkpoints, model, data, preprocessing, device, seed=compute.seed, quiet=terminal.quiet
        )
    if loaded is not None and learns is not None:  # on the path between the networks
        CommonInputs(model, loaded, symmetry, False, compute.seed, device, foldable=False).check([seeing])
    _, *movers = (with_preprocessing(network, preprocessing, loaded) for network in checkpoints)
    aligner = PairAligner(
        model,
        target,
        symmetry,
        method=method.value,
        orders=orders,
        inputs=None if loaded is None else loaded.by_network(lambda seen: seen.train.x),
        samples=samples,
        data=None if loaded is None or learns is None else loaded,
        learning=learns,
        seed=compute.seed,
        device=device,
    )
    for remark in alignment_remarks(movers, symmetry):
        say(remark, quiet=terminal.quiet)
    alignments = [_match(aligner, seeing[0], network, quiet=terminal.quiet) for network in seeing[1:]]
    used: dict[str, Any] = {} if learns is None else {"learning_rate": learns.rate}
    record = partial(make_provenance, context, device=device, seed=compute.seed, data=loaded, **used)
    aligned = []
    for network, alignment in zip(movers, alignments, strict=True):
        if alignment.learned is not None:
            say(learned_remark(network.path, alignment.learned), quiet=terminal.quiet)
        history = (*network.history, record(networks=[target, network]))
        aligned.append(replace(network, params=alignment.params, history=history))
    errors = write_networks(outputs, aligned, out_dir=out_dir, force=force, quiet=terminal.quiet)
    summary = record(networks=checkpoints)
    if permutations is not None:
        try:
            write_permutations(permutations, target, movers, alignments, summary, force=force)
            say(f"wrote {permutations}", quiet=terminal.quiet)
        except ResultError as error:
            errors.append(error)
    result = alignment_result(target, movers, outputs, alignments, symmetry, summary)
    emit(result, output=None, form=form, force=force, quiet=terminal.quiet, show=show)
    check_written(errors)


def _explain(
    context: typer.Context,
    path: Path,
    foreign: ModelOptions,
    compute: ComputeOptions,
    *,
    strict: bool,
    form: Format | None,
    quiet: bool,
) -> None:
    """Print the symmetry of one network."""
    from landscape_cli.cli.inputs import open_networks, symmetry_of
    from landscape_cli.cli.provenance import make_provenance
    from landscape_cli.cli.reports.symmetry import check_explains, emit_explanation

    check_explains(context)
    [network], model, device = open_networks([path], foreign, compute.device)
    symmetry = symmetry_of(network, model, strict=strict, quiet=quiet)
    provenance = make_provenance(context, device=device, seed=compute.seed, networks=[network])
    emit_explanation(network, symmetry, provenance, form=form, quiet=quiet)


def _checked_outputs(
    networks: Sequence[Path], output: Path | None, out_dir: Path | None, permutations: Path | None, *, force: bool
) -> list[Path]:
    """Return where the networks go, checking that they and the permutations may be written."""
    from landscape_cli.cli.outputs import check_distinct, output_paths
    from landscape_cli.errors import ResultError
    from landscape_cli.io.atomic import check_output

    outputs = output_paths(networks, output=output, out_dir=out_dir, suffix="_aligned", force=force)
    check_distinct(permutations, *outputs)
    if permutations is not None and (permutations.exists() or permutations.parent != out_dir):
        check_output(permutations, force=force, error=ResultError)
    return outputs


def _match(aligner: PairAligner, reference: Checkpoint, network: Checkpoint, *, quiet: bool) -> Alignment:
    """Match one network to the reference, with a progress bar where that takes long."""
    with progress(aligner.work, aligner.samples, "samples", quiet=quiet or not aligner.samples) as advance:
        return aligner.match(reference, network, advance=advance)
