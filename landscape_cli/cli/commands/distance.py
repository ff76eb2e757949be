"""`landscape distance`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from landscape_cli.choices import Method, Metric
from landscape_cli.cli.console import emit, listen, print_table, progress, say
from landscape_cli.cli.options import (
    Align,
    ComputeOptions,
    DataOptions,
    ModelOptions,
    Pairs,
    ResultOptions,
    Strict,
    TerminalOptions,
)

DISAGREEMENTS = (Metric.TRAIN_DISAGREEMENT.value, Metric.TEST_DISAGREEMENT.value)


def distance(
    context: typer.Context,
    networks: Annotated[
        list[Path], typer.Argument(help="Two or more checkpoints; with --pairs quoted patterns.", show_default=False)
    ],
    *,
    matrix: Annotated[
        Metric | None,
        typer.Option("--matrix", help="Show one distance as a matrix instead of a row for each pair."),
    ] = None,
    functions: Annotated[
        bool,
        typer.Option(
            "--functions/--no-functions",
            help="Compare predictions as well, on the training and test sets; without, no data is read.",
        ),
    ] = True,
    pairs: Pairs = None,
    align: Align = None,
    data: DataOptions,
    strict: Strict = False,
    foreign: ModelOptions,
    compute: ComputeOptions,
    result: ResultOptions,
    terminal: TerminalOptions,
) -> None:
    """Measure how far apart networks are, all pairs: in weights and in what they predict.

    The geodesic distance is defined between normalised networks, and means most between aligned ones; networks
    that are not normalised have none. With --align, the second of each pair is relabelled to match the first before
    distances in weights are taken. Between binary networks there is the Hamming distance: how many signs differ, and
    which fraction of them all.

    \b
    Examples:
      landscape distance a_n.st b_aligned.st
      landscape distance normal/*.st --matrix geodesic --no-functions -o distances.csv
      landscape distance 'n/sgd-*.st' 'n/adv-*.st' --pairs all --align cosine -o distances.json
      landscape distance binary-*.st --matrix hamming_fraction --no-functions
    """  # noqa: D301 - \b keeps the help's lines as they are
    from dataclasses import replace
    from itertools import combinations

    from landscape_cli.alignment.verified import PairAligner
    from landscape_cli.binary.layers import latent_owners
    from landscape_cli.cli.inputs import data_of, read_networks, resolve_device, symmetry_of
    from landscape_cli.cli.outputs import check_result_output
    from landscape_cli.cli.pairs import check_no_patterns, choose, listing
    from landscape_cli.cli.provenance import make_provenance
    from landscape_cli.cli.reports.families import shown_distances
    from landscape_cli.errors import GeometryError, listed
    from landscape_cli.evaluation.evaluator import Evaluator
    from landscape_cli.forward.outputs import UNDECIDED
    from landscape_cli.io.checkpoint import placed
    from landscape_cli.io.results import Result
    from landscape_cli.measures.distance import Ruler
    from landscape_cli.measures.families import Pair, distance_summary

    listen(quiet=terminal.quiet)
    check_result_output(result.output, result.form, None, force=result.force)
    if pairs is not None:
        families, files, chosen = choose(networks, pairs)
    elif len(networks) < 2:
        raise typer.BadParameter("distance needs at least two networks")
    else:
        check_no_patterns(networks)
        files, chosen = networks, [Pair(i, j) for i, j in combinations(range(len(networks)), 2)]
    if matrix is not None and matrix.value in DISAGREEMENTS and not functions:
        raise typer.BadParameter(f"--matrix {matrix.value} needs the data: leave out --no-functions")
    place = resolve_device(compute.device)
    checkpoints, model = read_networks(files, foreign)
    latents = latent_owners(model)
    needed = not latents or strict or align is not None
    symmetry = symmetry_of(checkpoints[0], model, strict=strict, quiet=terminal.quiet) if needed else None
    ruler = Ruler(symmetry, latents)
    if matrix is not None and matrix.value not in {*ruler.metrics, *DISAGREEMENTS}:
        raise GeometryError(
            f"{checkpoints[0].path} is {'' if latents else 'not '}a binary network, so --matrix {matrix.value} has no "
            f"meaning: use {', '.join(ruler.metrics)}, or a disagreement"
        )
    raw = [network.path for network in checkpoints if network.normalized is None]
    if raw and not latents:
        verb = "is not normalised, so it has" if len(raw) == 1 else "are not normalised, so they have"
        say(f"{listed(raw)} {verb} no geodesic distance: run landscape normalize", quiet=terminal.quiet)
    predictions: dict[str, list[Any]] = {}
    loaded = None
    if functions or align is Method.ACTIVATION:
        loaded = data_of(checkpoints, data, quiet=terminal.quiet)
    if functions:
        assert loaded is not None
        evaluator = Evaluator(model, {"train": loaded.train, "test": loaded.test}, device=place)
        total = 2 * len(checkpoints)
        with progress("predicting", total, "sets", quiet=terminal.quiet) as advance:
            for split in evaluator.splits:
                predictions[split] = []
                for network in checkpoints:
                    predictions[split].append(evaluator.predictions(network.params, split))
                    if advance:
                        advance(1)
    for k, network in enumerate(checkpoints):
        if any(bool((classes[k] == UNDECIDED).any()) for classes in predictions.values()):
            say(f"warning: outputs of {network.path} are NaN, so its disagreement is missing", quiet=terminal.quiet)
    rows: list[dict[str, Any]] = []
    params = [placed(network, place) for network in checkpoints]
    aligner = None
    if align is not None:
        assert symmetry is not None
        aligner = PairAligner(
            model,
            checkpoints[0],
            symmetry,
            method=align.value,
            inputs=None if loaded is None else loaded.train.x,
            seed=compute.seed,
            device=place,
        )
    with progress("distances", len(chosen), "pairs", quiet=terminal.quiet) as advance:
        for pair in chosen:
            i, j = pair.start, pair.end
            a, b = checkpoints[i], checkpoints[j]
            moved = params[j] if aligner is None else placed(aligner.align(a, b), place)
            row: dict[str, Any] = {"a": a.path, "b": b.path}
            if pair.families is not None:
                row |= {"family_a": pair.families[0], "family_b": pair.families[1]}
            row |= ruler.columns(a, params[i], b, moved)
            for split, classes in predictions.items():
                differ = (classes[i] != classes[j]).double()
                known = bool(((classes[i] != UNDECIDED) & (classes[j] != UNDECIDED)).all())
                row[f"{split}_disagreement"] = float(differ.mean()) if known else None
            rows.append(row)
            if advance:
                advance(1)
    provenance = make_provenance(context, device=place, seed=compute.seed, networks=checkpoints, data=loaded)
    names = [network.path for network in checkpoints]
    body: dict[str, Any] = {"networks": names, "pairs": rows}
    table: list[dict[str, Any]] | None = None
    if pairs is not None:
        summary = distance_summary(chosen, rows)
        body = {"networks": names, "families": listing(families), "pairs": rows, "summary": summary}
        table = shown_distances(summary) if matrix is None else None
    shown = rows if matrix is None else _as_matrix(rows, names, matrix.value)
    if matrix is not None:
        body |= {"matrix": {"metric": matrix.value, "rows": shown}}
    emit(
        Result(body, shown, provenance),
        output=result.output,
        form=result.form,
        force=result.force,
        quiet=terminal.quiet,
        show=lambda result: print_table(result if table is None else replace(result, rows=table), names),
    )


def _as_matrix(pairs: list[dict[str, Any]], names: list[str], metric: str) -> list[dict[str, Any]]:
    known = {(pair["a"], pair["b"]): pair[metric] for pair in pairs}
    itself = {"cosine": 1.0, "hamming": 0}.get(metric, 0.0)
    return [
        {"network": a} | {b: itself if a == b else known.get((a, b), known.get((b, a))) for b in names} for a in names
    ]
