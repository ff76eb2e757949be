"""`landscape distance`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from landscape_cli.cli.console import emit, progress, say
from landscape_cli.cli.options import (
    DataDir,
    DataName,
    Debug,
    Device,
    Force,
    Form,
    InputShape,
    Metric,
    ModelName,
    Output,
    Quiet,
    Strict,
    UnusedSeed,
)


def distance(
    context: typer.Context,
    networks: Annotated[list[Path], typer.Argument(help="Two or more checkpoints.", show_default=False)],
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
    data: DataName = None,
    data_dir: DataDir = None,
    strict: Strict = False,
    model_name: ModelName = None,
    input_shape: InputShape = None,
    device: Device = "auto",
    seed: UnusedSeed = 0,
    output: Output = None,
    force: Force = False,
    form: Form = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Measure how far apart networks are, all pairs: in weights and in what they predict.

    The geodesic distance is defined between normalised networks, and means most between aligned ones; networks
    that are not normalised have none.

    \b
    Examples:
      landscape distance a_n.st b_aligned.st
      landscape distance normal/*.st --matrix geodesic --no-functions -o distances.csv
    """  # noqa: D301 - \b keeps the help's lines as they are
    from dataclasses import asdict
    from itertools import combinations

    from landscape_cli.cli.session import (
        check_result_output,
        data_of,
        make_provenance,
        placed,
        read_networks,
        resolve_device,
        symmetry_of,
    )
    from landscape_cli.evaluate import Evaluator
    from landscape_cli.geometry import distance as between
    from landscape_cli.objective import UNDECIDED
    from landscape_cli.results import Result

    check_result_output(output, form, None, force=force)
    if len(networks) < 2:
        raise typer.BadParameter("distance needs at least two networks")
    if matrix in {Metric.TRAIN_DISAGREEMENT, Metric.TEST_DISAGREEMENT} and not functions:
        raise typer.BadParameter(f"--matrix {matrix.value} needs the data: leave out --no-functions")
    place = resolve_device(device)
    checkpoints, model = read_networks(networks, model_name, input_shape)
    symmetry = symmetry_of(checkpoints[0], model, strict=strict, quiet=quiet)
    raw = [network.path for network in checkpoints if network.normalized is None]
    if raw:
        more = f" and {len(raw) - 3} more" if len(raw) > 3 else ""
        verb = "is not normalised, so it has" if len(raw) == 1 else "are not normalised, so they have"
        say(f"{', '.join(raw[:3])}{more} {verb} no geodesic distance: run landscape normalize", quiet=quiet)
    predictions: dict[str, list[Any]] = {}
    loaded = None
    if functions:
        loaded = data_of(checkpoints, name=data, directory=data_dir, quiet=quiet)
        evaluator = Evaluator(model, {"train": loaded.train, "test": loaded.test}, device=place)
        total = 2 * len(checkpoints)
        with progress("predicting", total, "sets", quiet=quiet) as advance:
            for split in evaluator.splits:
                predictions[split] = []
                for network in checkpoints:
                    predictions[split].append(evaluator.predictions(network.params, split))
                    if advance:
                        advance(1)
    for k, network in enumerate(checkpoints):
        if any(bool((classes[k] == UNDECIDED).any()) for classes in predictions.values()):
            say(f"warning: outputs of {network.path} are NaN, so its disagreement is missing", quiet=quiet)
    rows: list[dict[str, Any]] = []
    params = [placed(network, place) for network in checkpoints]
    for i, j in combinations(range(len(checkpoints)), 2):
        a, b = checkpoints[i], checkpoints[j]
        row: dict[str, Any] = {"a": a.path, "b": b.path} | asdict(between(params[i], params[j], symmetry))
        if a.normalized is None or b.normalized is None:
            row |= {"geodesic": None, "rms_angle": None}
        for split, classes in predictions.items():
            differ = (classes[i] != classes[j]).double()
            known = bool(((classes[i] != UNDECIDED) & (classes[j] != UNDECIDED)).all())
            row[f"{split}_disagreement"] = float(differ.mean()) if known else None
        rows.append(row)
    provenance = make_provenance(context, device=place, seed=seed, networks=checkpoints, data=loaded)
    names = [network.path for network in checkpoints]
    body: dict[str, Any] = {"networks": names, "pairs": rows}
    shown = rows if matrix is None else _as_matrix(rows, names, matrix.value)
    if matrix is not None:
        body |= {"matrix": {"metric": matrix.value, "rows": shown}}
    emit(Result(body, shown, provenance), output=output, form=form, force=force, quiet=quiet)


def _as_matrix(pairs: list[dict[str, Any]], names: list[str], metric: str) -> list[dict[str, Any]]:
    known = {(pair["a"], pair["b"]): pair[metric] for pair in pairs}
    itself = 1.0 if metric == "cosine" else 0.0
    return [
        {"network": a} | {b: itself if a == b else known.get((a, b), known.get((b, a))) for b in names} for a in names
    ]
