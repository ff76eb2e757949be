"""`landscape align`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from landscape_cli.cli.console import emit, say
from landscape_cli.cli.options import (
    ALIGN_SAMPLES,
    CheckpointOutput,
    DataDir,
    DataName,
    DataTask,
    Debug,
    Device,
    Force,
    Form,
    InputShape,
    Method,
    ModelName,
    OutDir,
    Quiet,
    Seed,
    Strict,
)


def align(
    context: typer.Context,
    reference: Annotated[Path, typer.Argument(help="The network whose labels stand.", show_default=False)],
    networks: Annotated[
        list[Path] | None,
        typer.Argument(help="Networks to relabel, at least one; none with --explain.", show_default=False),
    ] = None,
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
    data: DataName = None,
    task: DataTask = None,
    data_dir: DataDir = None,
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
    model_name: ModelName = None,
    input_shape: InputShape = None,
    device: Device = "auto",
    seed: Seed = 0,
    force: Force = False,
    form: Form = None,
    quiet: Quiet = False,
    debug: Debug = False,
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

    from landscape_cli.cli.measured import data_of
    from landscape_cli.cli.relabelling import check_used, differ_in_scale, group_rows, moves, relabel, sample_inputs
    from landscape_cli.cli.reports.symmetry import check_explains, emit_explanation
    from landscape_cli.cli.session import (
        check_distinct,
        make_folder,
        make_provenance,
        output_paths,
        read_networks,
        resolve_device,
        say_precision,
        symmetry_of,
    )
    from landscape_cli.errors import ResultError
    from landscape_cli.evaluation.equivalence import probe_batch
    from landscape_cli.io.atomic import check_output, write_atomic
    from landscape_cli.io.checkpoint import write_checkpoint
    from landscape_cli.io.results import Result

    if explain:
        check_explains(context)
        place = resolve_device(device)
        [network], model = read_networks([reference], model_name, input_shape)
        symmetry = symmetry_of(network, model, strict=strict, quiet=quiet)
        provenance = make_provenance(context, device=place, seed=seed, networks=[network])
        emit_explanation(network, symmetry, provenance, form=form, quiet=quiet)
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
    place = resolve_device(device)
    checkpoints, model = read_networks([reference, *networks], model_name, input_shape)
    target, *movers = checkpoints
    symmetry = symmetry_of(target, model, strict=strict, quiet=quiet)
    loaded = (
        data_of(checkpoints, name=data, task=task, directory=data_dir, quiet=quiet)
        if method is Method.ACTIVATION
        else None
    )
    inputs = None if loaded is None else sample_inputs(loaded, samples, seed=seed)
    probe = probe_batch(model, target.params, target.model.input_shape, seed=seed, device=place)
    rows, made, saved, proofs = [], [], [], []
    for network, out in zip(movers, outputs, strict=True):
        if differ_in_scale(target, network, symmetry):
            say(
                f"warning: only one of {reference} and {network.path} is normalised: matches will be poor",
                quiet=quiet,
            )
        found, difference = relabel(
            model,
            target,
            network,
            symmetry,
            method=method.value,
            orders=orders,
            seed=seed,
            inputs=inputs,
            probe=probe,
            device=place,
            quiet=quiet,
        )
        say_precision(network.path, difference, quiet=quiet)
        provenance = make_provenance(context, device=place, seed=seed, networks=[target, network], data=loaded)
        made.append(replace(network, params=found.params, history=(*network.history, provenance)))
        proofs.append({"network": network.path, "output": str(out)} | difference.columns())
        saved.append(moves(network, found))
        rows += group_rows(network, found, symmetry)
    make_folder(out_dir)
    for out, checkpoint in zip(outputs, made, strict=True):
        write_checkpoint(out, checkpoint, force=force)
        say(f"wrote {out}", quiet=quiet)
    summary = make_provenance(context, device=place, seed=seed, networks=checkpoints, data=loaded)
    if permutations is not None:
        content = {"reference": str(reference), "networks": saved, "provenance": summary}
        write_atomic(permutations, f"{json.dumps(content)}\n".encode(), force=force, error=ResultError)
        say(f"wrote {permutations}", quiet=quiet)
    body = {"reference": str(reference), "networks": proofs, "groups": rows}
    emit(Result(body, rows, summary), output=None, form=form, force=force, quiet=quiet)
