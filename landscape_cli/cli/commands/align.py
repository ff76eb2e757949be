"""`landscape align`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from landscape_cli.alignment.defaults import ALIGN_SAMPLES, ORDERS
from landscape_cli.choices import Format, Method, Statistics
from landscape_cli.cli.averaging import AverageOptions
from landscape_cli.cli.console import emit, listen, progress, say
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
    ResultOptions,
    Strict,
    TerminalOptions,
)
from landscape_cli.cli.preprocessing_options import MeetingOptions
from landscape_cli.cli.ranks import RANKS_OF_THIS_PROCESS
from landscape_cli.io.regular import resolved

if TYPE_CHECKING:
    from torch import nn

    from landscape_cli.alignment.align import Alignment
    from landscape_cli.alignment.pairs import PairAligner
    from landscape_cli.errors import LandscapeError
    from landscape_cli.io.checkpoint import Checkpoint
    from landscape_cli.symmetry import Symmetry

USUAL_ROUNDS = 4
"""Of "cycle", for a progress bar: how many it takes is not known before."""


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
    from landscape_cli.cli.averaging import average_of, check_has_mean, write_average
    from landscape_cli.cli.inputs import open_networks, symmetry_of, with_preprocessing
    from landscape_cli.cli.measured_data import data_of
    from landscape_cli.cli.meeting import CommonInputs, check_alike
    from landscape_cli.cli.outputs import (
        check_written,
        export_paths,
        noting,
        output_paths,
        write_exports,
        write_networks,
    )
    from landscape_cli.cli.provenance import make_provenance
    from landscape_cli.cli.reports.alignment import (
        alignment_remarks,
        alignment_result,
        joined,
        permutation_records,
        show,
        write_permutations,
    )
    from landscape_cli.forward.parts import RELABELED
    from landscape_cli.io.results import finite

    quiet = terminal.quiet
    listen(quiet=quiet)
    if explain:
        _explain(context, reference, foreign, compute, check=check, strict=strict, form=form, quiet=quiet)
        return
    if check:
        raise typer.BadParameter("--check goes with --explain: it compares what that shows")
    if not networks:
        raise typer.BadParameter(
            f"there is nothing to permute: name one or more networks after the reference {reference}, or add --explain"
        )
    if RANKS_OF_THIS_PROCESS.launch is not None and (method is Method.CYCLE or mean.average_out is not None):
        what = "--average-out" if mean.average_out is not None else "--method cycle"
        raise typer.BadParameter(f"{what} takes all networks at once, in one process: leave out torchrun or srun")
    ranks = RANKS_OF_THIS_PROCESS.join()
    recomputes = mean.bn is Statistics.RECOMPUTE
    folds = preprocessing.fold_preprocessing
    check_used(context, method, also=OF_DATA if recomputes or folds else ())
    learns = learning.learning() if method is Method.LEARNED else None
    alone = output is None and out_dir is None and mean.average_out is not None
    outputs = [] if alone else output_paths(networks, output=output, out_dir=out_dir, suffix="_aligned", force=force)
    stems = [{"{name}": path.stem} for path in networks]
    exports = export_paths(back.export, stems, outputs, force=force, out_dir=out_dir)
    _check_permutations(permutations, out_dir, [reference, *networks], [*outputs, *exports], force=force)
    mean.check(context, [reference, *networks], [permutations, *outputs, *exports], out_dir=out_dir, force=force)
    checkpoints, model, device = open_networks([reference, *networks], foreign, compute.device, plain=RELABELED)
    if mean.average_out is not None:
        check_has_mean(checkpoints[0], model)
    symmetry = symmetry_of(checkpoints[0], model, strict=strict, quiet=quiet, claims=checkpoints)
    by_data = method in ON_DATA
    loaded, seeing = None, checkpoints
    if by_data or recomputes or folds:
        loaded, seeing = data_of(checkpoints, model, data, preprocessing, device, seed=compute.seed, quiet=quiet)
    checkpoints = [with_preprocessing(network, preprocessing, loaded) for network in checkpoints]
    if folds and loaded is not None:
        seeing = CommonInputs(model, loaded, symmetry, True, compute.seed, device).of(seeing)
        checkpoints = [old if old.params is new.params else new for old, new in zip(checkpoints, seeing, strict=True)]
    target, *movers = checkpoints
    remarks = alignment_remarks(movers, symmetry)
    own = RANKS_OF_THIS_PROCESS.own
    seeing = [seeing[0], *own(seeing[1:])]
    movers, outputs, exports = own(movers), own(outputs), own(exports)
    if mean.average_out is not None or learns is not None:
        check_alike(seeing if loaded is not None else checkpoints)
    for remark in remarks:
        say(remark, quiet=quiet)
    setting: dict[str, Any] = {"method": method.value, "orders": orders, "samples": samples}
    setting |= {"seed": compute.seed, "device": device, "inputs": None}
    if by_data and loaded is not None:
        setting["inputs"] = loaded.by_network(lambda seen: seen.train.x)
    if learns is not None:
        setting |= {"data": loaded, "learning": learns}
    alignments, more = _align(seeing, model, symmetry, setting, quiet=quiet)
    used: dict[str, Any] = {} if learns is None else {"learning_rate": learns.rate}
    provenance = partial(make_provenance, context, device=device, seed=compute.seed, **used)
    aligned = []
    for network, alignment in zip(movers, alignments, strict=True):
        if alignment.learned is not None:
            say(learned_remark(network.path, alignment.learned), quiet=quiet)
        step = provenance(networks=[target, network], data=loaded if by_data else None)
        aligned.append(replace(network, params=alignment.params, history=(*network.history, step)))
    of_mean: dict[str, Any] = {} if mean.average_out is None else {"bn": mean.bn}
    summary = provenance(networks=checkpoints, data=loaded, **of_mean)
    average = None
    if mean.average_out is not None:
        average = average_of([target, *aligned], model, loaded, mean.bn, step=summary, device=device)
    errors: list[LandscapeError] = []
    RANKS_OF_THIS_PROCESS.agree(summary)
    if ranks is not None:
        ranks.go()  # nothing is written before all is proved
    if not alone:
        errors += write_networks(outputs, aligned, out_dir=out_dir, force=force, quiet=quiet)
    errors += write_exports(exports, aligned, force=force, quiet=quiet)
    if average is not None:
        assert mean.average_out is not None
        more["average"], error = write_average(mean.average_out, average, force=force, quiet=quiet)
        errors += [] if error is None else [error]
    result = alignment_result(target, movers, outputs or [None] * len(movers), alignments, symmetry, summary, more)
    records = [] if permutations is None else permutation_records(movers, alignments)
    parts = RANKS_OF_THIS_PROCESS.gather(finite([result.body, result.rows, records]), errors)
    if permutations is not None:
        with noting(errors):
            every = [record for _, _, records in parts for record in records]
            write_permutations(permutations, target, every, summary, force=force)
            say(f"wrote {permutations}", quiet=quiet)
    if ranks is not None:
        result = joined([(body, rows) for body, rows, _ in parts], result)
    with noting(errors):
        emit(result, ResultOptions(form=form), quiet=quiet, show=show)
    check_written(errors)


def _align(
    checkpoints: Sequence[Checkpoint], model: nn.Module, symmetry: Symmetry, setting: dict[str, Any], *, quiet: bool
) -> tuple[list[Alignment], dict[str, Any]]:
    """Return how each network but the first comes to match it, and what to report of all together."""
    from landscape_cli.alignment.cycle import STARTS
    from landscape_cli.alignment.pairs import PairAligner
    from landscape_cli.alignment.sets import match_checkpoints

    target, *movers = checkpoints
    if setting["method"] != Method.CYCLE:
        aligner = PairAligner(model, target, symmetry, **setting)
        return [_match(aligner, target, network, quiet=quiet) for network in movers], {}
    count = min(len(checkpoints), STARTS) * USUAL_ROUNDS * len(checkpoints)
    with progress("aligning", count, "matches", quiet=quiet) as advance:
        aligned = match_checkpoints(model, checkpoints, symmetry, **setting, advance=advance)
    ended = "the last changed nothing" if aligned.settled else "and there is no end in sight"
    say(f"{aligned.rounds} rounds to the mean of the others: {ended}", quiet=quiet)
    about = {"rounds": aligned.rounds, "settled": aligned.settled, "objective": list(aligned.objective)}
    return list(aligned.alignments[1:]), about


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


def _match(aligner: PairAligner, reference: Checkpoint, network: Checkpoint, *, quiet: bool) -> Alignment:
    """Match one network to the reference, with a progress bar where that takes long."""
    with progress(aligner.work, aligner.samples, "samples", quiet=quiet or not aligner.samples) as advance:
        return aligner.match(reference, network, advance=advance)
