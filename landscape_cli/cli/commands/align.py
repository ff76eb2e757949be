"""`landscape align`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from landscape_cli.alignment.defaults import ALIGN_SAMPLES, ORDERS
from landscape_cli.choices import Format, Method, Statistics
from landscape_cli.cli.averaging import AverageOptions
from landscape_cli.cli.console import listen, say
from landscape_cli.cli.data_options import DataOptions
from landscape_cli.cli.learning import OF_DATA, ON_DATA, LearningOptions, check_used, learned_remark
from landscape_cli.cli.options import (
    LARGEST_COUNT,
    CheckpointOutput,
    ComputeOptions,
    ExportOptions,
    Force,
    Form,
    ModelOptions,
    OutDir,
    Strict,
    TerminalOptions,
)
from landscape_cli.cli.preprocessing_options import MeetingOptions
from landscape_cli.cli.ranks import RANKS_OF_THIS_PROCESS
from landscape_cli.io.regular import resolved


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
    back: ExportOptions,
    mean: AverageOptions,
    method: Annotated[
        Method,
        typer.Option(
            "--method",
            help="How to match: cosine of incoming weights, weight (all of them), activation (on data), learned (the "
            "loss on the path, by gradients), cycle (weight, all networks at once, by rounds to their mean).",
        ),
    ] = Method.COSINE,
    orders: Annotated[
        int,
        typer.Option(
            "--orders",
            min=1,
            max=LARGEST_COUNT,
            help="Descents of --method weight, learned or cycle, each in a random order; best kept.",
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
    preprocessing: MeetingOptions,
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
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="With --explain, of a small network: compare with what its outputs alone say; list what is missed.",
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
      landscape align a.st b.st -o b_aligned.st --fold-preprocessing    # b sees inputs as a does from then on
      landscape align a.st b.st c.st --method cycle --average-out mean.pt --bn recompute
      landscape align --explain a.st
      landscape align --explain --check small.st
    """  # noqa: D301 - \b keeps the help's lines as they are
    from landscape_cli.cli.aligning import Files, align_all, open_to_align, write_aligned
    from landscape_cli.cli.averaging import average_of
    from landscape_cli.cli.meeting import check_alike
    from landscape_cli.cli.outputs import export_paths, output_paths
    from landscape_cli.cli.provenance import make_provenance
    from landscape_cli.cli.reports.alignment import alignment_remarks, alignment_result

    quiet = terminal.quiet
    listen(quiet=quiet)
    if explain:
        _explain(context, reference, foreign, compute, check=check, strict=strict, form=form, quiet=quiet)
        return
    averages = mean.average_out is not None
    paths = [reference, *_named(reference, networks, method, check=check, averages=averages)]
    ranks = RANKS_OF_THIS_PROCESS.join()
    by_data, recomputes, folds = method in ON_DATA, mean.bn is Statistics.RECOMPUTE, preprocessing.fold_preprocessing
    check_used(context, method, also=OF_DATA if recomputes or folds else ())
    learns = learning.learning() if method is Method.LEARNED else None
    alone = output is None and out_dir is None and averages
    outputs = [] if alone else output_paths(paths[1:], output=output, out_dir=out_dir, suffix="_aligned", force=force)
    stems = [{"{name}": path.stem} for path in paths[1:]]
    exports = export_paths(back.export, stems, outputs, force=force, out_dir=out_dir)
    _check_permutations(permutations, out_dir, paths, [*outputs, *exports], force=force)
    mean.check(context, paths, [permutations, *outputs, *exports], out_dir=out_dir, force=force)
    given = open_to_align(
        paths,
        foreign,
        data,
        preprocessing,
        compute,
        needs_data=by_data or recomputes or folds,
        averages=averages,
        strict=strict,
        quiet=quiet,
    )
    if averages or learns is not None:
        check_alike(given.seeing if given.data is not None else given.checkpoints)
    target, *every = given.checkpoints
    for remark in alignment_remarks(every, given.symmetry):
        say(remark, quiet=quiet)
    alignments, more = align_all(
        given,
        method,
        orders=orders,
        samples=samples,
        learning=learns,
        by_data=by_data,
        seed=compute.seed,
        quiet=quiet,
    )
    movers = RANKS_OF_THIS_PROCESS.own(every)
    rate: dict[str, Any] = {} if learns is None else {"learning_rate": learns.rate}
    provenance = partial(make_provenance, context, device=given.device, seed=compute.seed, **rate)
    aligned = []
    for network, alignment in zip(movers, alignments, strict=True):
        if alignment.learned is not None:
            say(learned_remark(network.path, alignment.learned), quiet=quiet)
        step = provenance(networks=[target, network], data=given.data if by_data else None)
        aligned.append(replace(network, params=alignment.params, history=(*network.history, step)))
    statistics: dict[str, Any] = {"bn": mean.bn} if averages else {}
    summary = provenance(networks=given.checkpoints, data=given.data, **statistics)
    average = None
    if averages:
        average = average_of([target, *aligned], given.model, given.data, mean.bn, step=summary, device=given.device)
    RANKS_OF_THIS_PROCESS.agree(summary)
    if ranks is not None:
        ranks.go()  # nothing is written before all is proved
    own = RANKS_OF_THIS_PROCESS.own
    files = Files(own(outputs), own(exports), mean.average_out, permutations, out_dir, force)
    written: list[Path | None] = [*files.outputs] or [None] * len(movers)
    result = alignment_result(target, movers, written, alignments, given.symmetry, summary, more)
    write_aligned(files, target, movers, aligned, average, alignments, result, form=form, quiet=quiet)


def _named(reference: Path, networks: list[Path] | None, method: Method, *, check: bool, averages: bool) -> list[Path]:
    """Return the networks to align, of a command whose words go together.

    Raises:
        BadParameter: if something does not.
    """
    if check:
        raise typer.BadParameter("--check goes with --explain: it compares what that shows")
    if not networks:
        raise typer.BadParameter(
            f"there is nothing to permute: name one or more networks after the reference {reference}, or add --explain"
        )
    if RANKS_OF_THIS_PROCESS.launch is not None and (method is Method.CYCLE or averages):
        what = "--average-out" if averages else "--method cycle"
        raise typer.BadParameter(f"{what} takes all networks at once, in one process: leave out torchrun or srun")
    return networks


def _explain(
    context: typer.Context,
    path: Path,
    foreign: ModelOptions,
    compute: ComputeOptions,
    *,
    check: bool,
    strict: bool,
    form: Format | None,
    quiet: bool,
) -> None:
    """Print the symmetry of one network, perhaps beside what its outputs say."""
    import torch

    from landscape_cli.cli.inputs import open_networks, symmetry_of
    from landscape_cli.cli.provenance import make_provenance
    from landscape_cli.cli.reports.symmetry import check_explains, emit_explanation
    from landscape_cli.symmetry.checking.completeness import check_completeness

    check_explains(context)
    [network], model, device = open_networks([path], foreign, compute.device, plain=())
    symmetry = symmetry_of(network, model, strict=strict, quiet=quiet)
    provenance = make_provenance(context, device=device, seed=compute.seed, networks=[network])
    checked = None
    if check:
        generator = torch.Generator().manual_seed(compute.seed)
        checked = check_completeness(model, network.params, symmetry, generator=generator)
    emit_explanation(network, symmetry, checked, provenance, form=form, quiet=quiet)


def _check_permutations(
    permutations: Path | None, out_dir: Path | None, networks: Sequence[Path], outputs: Sequence[Path], *, force: bool
) -> None:
    """Check that the permutations may be written, beside what else is, and over none of the networks."""
    from landscape_cli.cli.outputs import check_distinct
    from landscape_cli.errors import ResultError
    from landscape_cli.io.atomic import check_output

    check_distinct(permutations, *outputs)
    if permutations is not None and resolved(permutations) in {resolved(path) for path in networks}:
        raise ResultError(f"{permutations} is one of the networks themselves: name the permutations otherwise")
    if permutations is not None and (permutations.exists() or permutations.parent != out_dir):
        check_output(permutations, force=force, error=ResultError)
