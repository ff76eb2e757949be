"""`landscape align`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from landscape_cli.choices import Method
from landscape_cli.cli.console import emit, listen, progress, say
from landscape_cli.cli.options import (
    ALIGN_SAMPLES,
    CheckpointOutput,
    ComputeOptions,
    DataOptions,
    Force,
    Form,
    ModelOptions,
    OutDir,
    Strict,
    TerminalOptions,
    flag,
    given,
)

if TYPE_CHECKING:
    from landscape_cli.alignment.align import Alignment
    from landscape_cli.io.checkpoint import Checkpoint
    from landscape_cli.symmetry import Symmetry


def align(
    context: typer.Context,
    reference: Annotated[Path, typer.Argument(help="The network whose labels stand.", show_default=False)],
    networks: Annotated[
        list[Path] | None,
        typer.Argument(help="Networks to align_verified, at least one; none with --explain.", show_default=False),
    ] = None,
    *,
    output: CheckpointOutput = None,
    out_dir: OutDir = None,
    method: Annotated[
        Method,
        typer.Option(
            "--method",
            help="How to match: cosine of incoming weights, weight (all of them), activation (on data).",
        ),
    ] = Method.COSINE,
    orders: Annotated[
        int, typer.Option("--orders", min=1, help="Descents of --method weight, each in a random order; best kept.")
    ] = 2,
    samples: Annotated[
        int, typer.Option("--samples", min=2, help="Training samples that --method activation correlates units on.")
    ] = ALIGN_SAMPLES,
    data: DataOptions,
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
    """Remove the permutation symmetry: relabel hidden units to match a reference network's.

    Units whose sign is free are flipped to match, too; of binary networks the signs of the weights are what is matched.
    Reports the mean cosine similarity of matched units, group by
    group, before and after. The outputs before and after are compared on a probe batch, and nothing is written unless
    they agree to rounding.

    \b
    Examples:
      landscape align a.st b.st -o b_aligned.st
      landscape align a.st b.st c.st --out-dir aligned --permutations aligned/permutations.json
      landscape align a.st b.st -o b_aligned.st --method activation --samples 5000
      landscape align --explain a.st
    """  # noqa: D301 - \b keeps the help's lines as they are
    import json
    from dataclasses import replace

    from landscape_cli.alignment.verified import align_verified, differ_in_scale, sample_inputs
    from landscape_cli.cli.inputs import data_of, read_networks, resolve_device, symmetry_of
    from landscape_cli.cli.outputs import check_distinct, make_folder, output_paths
    from landscape_cli.cli.provenance import make_provenance
    from landscape_cli.cli.reports.symmetry import check_explains, emit_explanation
    from landscape_cli.errors import ResultError
    from landscape_cli.evaluation.equivalence import probe_batch, warn_of_precision
    from landscape_cli.io.atomic import check_output, write_atomic
    from landscape_cli.io.checkpoint import write_checkpoint
    from landscape_cli.io.results import Result

    listen(quiet=terminal.quiet)
    if explain:
        check_explains(context)
        place = resolve_device(compute.device)
        [network], model = read_networks([reference], foreign)
        symmetry = symmetry_of(network, model, strict=strict, quiet=terminal.quiet)
        provenance = make_provenance(context, device=place, seed=compute.seed, networks=[network])
        emit_explanation(network, symmetry, provenance, form=form, quiet=terminal.quiet)
        return
    if not networks:
        raise typer.BadParameter(
            f"there is nothing to relabel: name one or more networks after the reference {reference}, or add --explain"
        )
    check_used(context, method.value)
    outputs = output_paths(networks, output=output, out_dir=out_dir, suffix="_aligned", force=force)
    check_distinct(permutations, *outputs)
    if permutations is not None and (permutations.exists() or permutations.parent != out_dir):
        check_output(permutations, force=force, error=ResultError)
    place = resolve_device(compute.device)
    checkpoints, model = read_networks([reference, *networks], foreign)
    target, *movers = checkpoints
    symmetry = symmetry_of(target, model, strict=strict, quiet=terminal.quiet)
    loaded = data_of(checkpoints, data, quiet=terminal.quiet) if method is Method.ACTIVATION else None
    inputs = None if loaded is None else sample_inputs(loaded.train.x, samples, seed=compute.seed)
    probe = probe_batch(model, target.params, target.model.input_shape, seed=compute.seed, device=place)
    count = 0 if inputs is None else len(inputs)
    rows, made, saved, proofs = [], [], [], []
    for network, out in zip(movers, outputs, strict=True):
        if differ_in_scale(target, network, symmetry):
            say(
                f"warning: only one of {reference} and {network.path} is normalised: matches will be poor",
                quiet=terminal.quiet,
            )
        with progress("activations", count, "samples", quiet=terminal.quiet or not count) as advance:
            found, difference = align_verified(
                model,
                target,
                network,
                symmetry,
                method=method.value,
                orders=orders,
                seed=compute.seed,
                inputs=inputs,
                probe=probe,
                device=place,
                advance=advance,
            )
        warn_of_precision(network.path, difference)
        provenance = make_provenance(context, device=place, seed=compute.seed, networks=[target, network], data=loaded)
        made.append(replace(network, params=found.params, history=(*network.history, provenance)))
        proofs.append({"network": network.path, "output": str(out)} | difference.columns())
        saved.append(moves(network, found))
        rows += group_rows(network, found, symmetry)
    make_folder(out_dir)
    for out, checkpoint in zip(outputs, made, strict=True):
        write_checkpoint(out, checkpoint, force=force)
        say(f"wrote {out}", quiet=terminal.quiet)
    summary = make_provenance(context, device=place, seed=compute.seed, networks=checkpoints, data=loaded)
    if permutations is not None:
        content = {"reference": str(reference), "networks": saved, "provenance": summary}
        write_atomic(permutations, f"{json.dumps(content)}\n".encode(), force=force, error=ResultError)
        say(f"wrote {permutations}", quiet=terminal.quiet)
    body = {"reference": str(reference), "networks": proofs, "groups": rows}
    emit(Result(body, rows, summary), output=None, form=form, force=force, quiet=terminal.quiet)


USED_BY = {"orders": "weight", "samples": "activation", "data": "activation", "data_dir": "activation"}


def check_used(context: typer.Context, method: str) -> None:
    """Refuse options of other methods: an option silently ignored misleads.

    Raises:
        BadParameter: naming it.
    """
    for name, used_by in USED_BY.items():
        if given(context, name) and method != used_by:
            raise typer.BadParameter(f"{flag(name)} is for --method {used_by}: leave it out")


def group_rows(network: Checkpoint, found: Alignment, symmetry: Symmetry) -> list[dict[str, Any]]:
    """Return a row for each group: how many units were relabelled and flipped, how alike they are before and after.

    Flips are of the sign group of the same name: the units' own.
    """
    return [
        {
            "network": network.path,
            "group": group.name,
            "units": group.units,
            "relabelled": sum(i != j for i, j in enumerate(found.permutations[group.name].tolist())),
            "flipped": int((found.signs[group.name] < 0).sum()) if group.name in found.signs else None,
            "similarity_before": found.similarity_before.get(group.name),
            "similarity": found.similarity.get(group.name),
        }
        for group in symmetry.permutations
    ]


def moves(network: Checkpoint, found: Alignment) -> dict[str, Any]:
    """Return the permutations and signs of a network, as `--permutations` saves them."""
    return {
        "network": network.path,
        "groups": {name: permutation.tolist() for name, permutation in found.permutations.items()},
        "signs": {name: sign.tolist() for name, sign in found.signs.items()},
    }
