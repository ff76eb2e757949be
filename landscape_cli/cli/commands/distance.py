"""`landscape distance`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from landscape_cli.choices import Method, Metric
from landscape_cli.cli.console import listen, progress
from landscape_cli.cli.data_options import PartOptions
from landscape_cli.cli.options import (
    Align,
    EnsembleOptions,
    MeasuringOptions,
    ModelOptions,
    Pairs,
    ResultOptions,
    Strict,
    TerminalOptions,
)
from landscape_cli.cli.preprocessing_options import MeetingOptions
from landscape_cli.cli.sharing import Sharing, SharingOptions

if TYPE_CHECKING:
    import torch
    from torch import nn

    from landscape_cli.choices import Pairing
    from landscape_cli.cli.ensembles import SetAligner
    from landscape_cli.cli.pairs import Chosen
    from landscape_cli.data.datasets import DataSet
    from landscape_cli.io.checkpoint import Checkpoint
    from landscape_cli.measures.ensemble_result import Ensemble
    from landscape_cli.measures.predictions import Predictions
    from landscape_cli.sharing.share import Values
    from landscape_cli.symmetry import Symmetry


def distance(
    context: typer.Context,
    networks: Annotated[
        list[Path], typer.Argument(help="Two or more checkpoints; with --pairs quoted patterns.", show_default=False)
    ],
    *,
    matrix: Annotated[
        Metric | None,
        typer.Option(
            "--matrix",
            metavar="DISTANCE",
            help="Show one distance as a matrix instead of a row for each pair: "
            f"{', '.join(metric.value for metric in Metric)}.",
        ),
    ] = None,
    functions: Annotated[
        bool,
        typer.Option(
            "--functions/--no-functions",
            help="Compare predictions as well, on the training and test sets; without, no data is read.",
        ),
    ] = True,
    all_parameters: Annotated[
        bool,
        typer.Option(
            "--all-parameters",
            help="Count biases and norm layers in euclidean and cosine, too: by default these are of weights alone.",
        ),
    ] = False,
    pairs: Pairs = None,
    align: Align = None,
    ensembles: EnsembleOptions,
    data: PartOptions,
    preprocessing: MeetingOptions,
    strict: Strict = False,
    foreign: ModelOptions,
    compute: MeasuringOptions,
    sharing: SharingOptions,
    result: ResultOptions,
    terminal: TerminalOptions,
) -> None:
    """Measure how far apart networks are, all pairs: in weights and in what they predict.

    The geodesic distance is defined between normalised networks, and means most between aligned ones; networks
    that are not normalised have none. With --align, the second of each pair is permuted to match the first before
    distances in weights are taken. Between binary networks there is the Hamming distance: how many signs differ, and
    which fraction of them all.

    With --ensemble: what the networks predict together (the mean of their softmax), their disagreement and
    Kullback-Leibler divergence, what the mean of their weights does, taken on the spheres of normalised networks and
    after aligning them as a set with --align, and which of them share a wedge.

    \b
    Examples:
      landscape distance a_n.st b_aligned.st
      landscape distance normal/*.st --matrix geodesic --no-functions -o distances.csv
      landscape distance 'n/sgd-*.st' 'n/adv-*.st' --pairs all --align cosine -o distances.json
      landscape distance fork-*.st --ensemble --align cosine
      landscape distance binary-*.st --matrix hamming_fraction --no-functions
    """  # noqa: D301 - \b keeps the help's lines as they are
    from landscape_cli.binary.layers import latent_owners
    from landscape_cli.cli.ensembles import FunctionMeasurement, check_binary, check_options, ensemble_groups
    from landscape_cli.cli.inputs import arithmetic_on, read_networks, resolve_device, symmetry_of
    from landscape_cli.cli.measured_data import data_of
    from landscape_cli.cli.meeting import CommonInputs
    from landscape_cli.cli.outputs import check_result_output
    from landscape_cli.cli.pairs import listing
    from landscape_cli.cli.provenance import make_provenance
    from landscape_cli.cli.reports.distance import DistanceFrame, write_distances
    from landscape_cli.io.records import to_record
    from landscape_cli.measures.distance import (
        WeightDistances,
        measure_distances,
        needs_distributions,
        needs_predictions,
        warn_of_undecided,
    )
    from landscape_cli.measures.items import compared

    quiet = terminal.quiet
    listen(quiet=quiet)
    shared = Sharing(context, sharing, result, quiet=quiet)
    check_result_output(result, force=shared.result.force)
    chosen = _choose(networks, pairs)
    if matrix is not None and needs_predictions(matrix) and not functions:
        raise typer.BadParameter(f"--matrix {matrix.value} needs the data: leave out --no-functions")
    check_options(context, ensembles, functions=functions)
    if ensembles.ensemble:
        sharing.refuse("--ensemble")
    if compute.precision is not None:
        sharing.refuse("--precision")
    _check_used(preprocessing, functions=functions or align is Method.ACTIVATION, ensemble=ensembles.ensemble)
    if compute.precision is not None and not functions:
        raise typer.BadParameter("--precision is for predictions, which --no-functions leaves out: leave it out")
    device = resolve_device(compute.device)
    arithmetic = arithmetic_on(device, compute.precision, quiet=quiet)
    checkpoints, model = read_networks(chosen.files, foreign)
    latents = latent_owners(model)
    check_binary(context, checkpoints[0].path, binary=bool(latents))
    needed = not latents or strict or align is not None
    symmetry = symmetry_of(checkpoints[0], model, strict=strict, quiet=quiet, claims=checkpoints) if needed else None
    if all_parameters and latents:
        raise typer.BadParameter(f"{checkpoints[0].path} is binary, its weights are all: leave out --all-parameters")
    distances = WeightDistances(symmetry, latents, all_parameters)
    distances.check(matrix, checkpoints[0])
    distances.warn_of_scales(checkpoints)
    loaded, fold = None, preprocessing.fold_preprocessing
    if functions or align is Method.ACTIVATION:
        loaded, checkpoints = data_of(checkpoints, model, data, preprocessing, device, seed=compute.seed, quiet=quiet)
    of_pairs, of_sets = _aligners(model, checkpoints[0], symmetry, align, loaded, seed=compute.seed, device=device)
    families = {name: tuple(files) for name, files in listing(chosen.families).items()}
    frame = DistanceFrame(tuple(each.path for each in checkpoints), families, tuple(chosen.pairs), matrix)
    provenance = make_provenance(context, device=device, seed=compute.seed, networks=checkpoints, data=loaded)
    share = shared.begin(provenance)
    wanted = [int(key) for key in share.wanted(frame.groups)]
    distributions = ensembles.ensemble or (matrix is not None and needs_distributions(matrix))
    predictions: dict[int, Predictions] | None = None
    together: Mapping[str, Ensemble] = {}
    if functions:
        assert loaded is not None
        ends = {end for k in wanted for end in (chosen.pairs[k].start, chosen.pairs[k].end)}
        used = list(range(len(checkpoints))) if distributions else sorted(ends)
        groups = ensemble_groups(chosen, ensembles)
        common = CommonInputs(model, loaded, symmetry, fold, compute.seed, device)
        seen = [checkpoints[k] for k in used]
        measurement = FunctionMeasurement(
            model, seen, loaded, groups, ensembles, symmetry, common, of_sets, device, arithmetic
        )
        measured, together = measurement.measure(distributions=distributions, quiet=quiet)
        warn_of_undecided(seen, measured)
        predictions = dict(zip(used, measured, strict=True))

    def distances_of(advance: Callable[[int], None] | None) -> Iterator[Values]:
        yield compared("predictions", arithmetic)
        for k, measured in measure_distances(
            checkpoints,
            chosen.pairs,
            distances,
            some=wanted,
            predictions=predictions,
            distributions=distributions,
            align=of_pairs,
            device=device,
            advance=advance,
        ):
            yield {str(k): to_record(measured)}

    with progress("distances", len(wanted), "pairs", quiet=quiet) as advance:
        values = share.collect(distances_of(advance))
    shared.finish(frame, values, provenance, partial(write_distances, ensembles=together), arithmetic)


def _choose(networks: list[Path], pairs: Pairing | None) -> Chosen:
    """Return the families, if there are any, the files of all of them, and the pairs to measure.

    Raises:
        BadParameter: if there is no pair, or a pattern where files are named.
        CheckpointError: if a pattern matches no file, or a file is in two families.
    """
    from landscape_cli.cli.pairs import Chosen, check_no_patterns, choose
    from landscape_cli.measures.families import Pair

    if pairs is not None:
        return choose(networks, pairs)
    if len(networks) < 2:
        raise typer.BadParameter("distance needs at least two networks")
    check_no_patterns(networks)
    return Chosen({}, networks, [Pair(i, j) for i, j in combinations(range(len(networks)), 2)])


def _check_used(preprocessing: MeetingOptions, *, functions: bool, ensemble: bool) -> None:
    """Refuse options of inputs where none are read, or where networks do not meet.

    Raises:
        BadParameter: naming one.
    """
    if preprocessing.chosen() is not None and not functions:
        raise typer.BadParameter(
            "without predictions no inputs are seen: leave out --preprocess, --mean, --std, --columns"
        )
    if preprocessing.fold_preprocessing and not ensemble:
        raise typer.BadParameter("--fold-preprocessing goes with --ensemble, for means of weights")


def _aligners(
    model: nn.Module,
    like: Checkpoint,
    symmetry: Symmetry | None,
    align: Method | None,
    data: DataSet | None,
    *,
    seed: int,
    device: torch.device,
) -> tuple[Callable[[Checkpoint, Checkpoint], Checkpoint] | None, SetAligner | None]:
    """Return what aligns the second network of a pair, and what aligns a set; nothing if none are to be aligned."""
    if align is None:
        return None, None
    from landscape_cli.alignment.pairs import PairAligner
    from landscape_cli.alignment.sets import align_checkpoints

    assert symmetry is not None
    setting: dict[str, Any] = {"method": align.value, "seed": seed, "device": device}
    inputs_of = None if data is None else data.by_network(lambda seen: seen.train.x)
    pairs = PairAligner(model, like, symmetry, inputs=inputs_of, **setting)

    def align_together(networks: Sequence[Checkpoint]) -> Sequence[Checkpoint]:
        inputs = None if inputs_of is None else inputs_of(networks[0])
        return align_checkpoints(model, networks, symmetry, inputs=inputs, **setting)

    return pairs.align, align_together
