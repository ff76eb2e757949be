"""What `landscape align` does between its options and its files: networks are opened, matched, and averaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landscape_cli.choices import Format, Method
from landscape_cli.cli.console import emit, progress, say
from landscape_cli.cli.options import ResultOptions
from landscape_cli.cli.ranks import RANKS_OF_THIS_PROCESS

if TYPE_CHECKING:
    import torch
    from torch import nn

    from landscape_cli.alignment.align import Alignment
    from landscape_cli.alignment.learning import Learning
    from landscape_cli.alignment.pairs import PairAligner
    from landscape_cli.cli.data_options import DataOptions
    from landscape_cli.cli.options import ComputeOptions, ModelOptions
    from landscape_cli.cli.preprocessing_options import MeetingOptions
    from landscape_cli.data.datasets import DataSet
    from landscape_cli.errors import LandscapeError
    from landscape_cli.io.checkpoint import Checkpoint
    from landscape_cli.io.results import Result
    from landscape_cli.symmetry import Symmetry

USUAL_ROUNDS = 4
"""Of "cycle", for a progress bar: how many it takes is not known before."""


@dataclass(frozen=True)
class Networks:
    """What is aligned, and by what.

    Attributes:
        checkpoints: as they are to be written, the reference first.
        seeing: the same, each as it sees the inputs of data, where data are loaded.
        model: of all.
        symmetry: its.
        device: what is computed on.
        data: what was loaded; None where nothing is needed of them.
    """

    checkpoints: list[Checkpoint]
    seeing: list[Checkpoint]
    model: nn.Module
    symmetry: Symmetry
    device: torch.device
    data: DataSet | None


@dataclass(frozen=True)
class Files:
    """Where what was aligned goes.

    Attributes:
        outputs: by network; none where only the mean is written.
        exports: further files, by network.
        average: of the mean.
        permutations: of these and the signs.
        out_dir: a folder that is made for the outputs.
        force: whether files that are there may be replaced.
    """

    outputs: list[Path]
    exports: list[Path]
    average: Path | None
    permutations: Path | None
    out_dir: Path | None
    force: bool


def open_to_align(
    paths: Sequence[Path],
    foreign: ModelOptions,
    data: DataOptions,
    preprocessing: MeetingOptions,
    compute: ComputeOptions,
    *,
    needs_data: bool,
    averages: bool,
    strict: bool,
    quiet: bool,
) -> Networks:
    """Read the reference and the networks to align, derive their symmetry, and load data where they are needed.

    Raises:
        LandscapeError: as what it calls does.
    """
    from landscape_cli.cli.averaging import check_has_mean
    from landscape_cli.cli.inputs import open_networks, symmetry_of, with_preprocessing
    from landscape_cli.cli.measured_data import data_of
    from landscape_cli.cli.meeting import CommonInputs
    from landscape_cli.forward.parts import RELABELED

    checkpoints, model, device = open_networks(paths, foreign, compute.device, plain=RELABELED)
    if averages:
        check_has_mean(checkpoints[0], model)
    symmetry = symmetry_of(checkpoints[0], model, strict=strict, quiet=quiet, claims=checkpoints)
    loaded, seeing = None, checkpoints
    if needs_data:
        loaded, seeing = data_of(checkpoints, model, data, preprocessing, device, seed=compute.seed, quiet=quiet)
    checkpoints = [with_preprocessing(network, preprocessing, loaded) for network in checkpoints]
    if preprocessing.fold_preprocessing and loaded is not None:
        seeing = CommonInputs(model, loaded, symmetry, True, compute.seed, device).of(seeing)
        checkpoints = [old if old.params is new.params else new for old, new in zip(checkpoints, seeing, strict=True)]
    return Networks(checkpoints, seeing, model, symmetry, device, loaded)


def align_all(
    networks: Networks,
    method: Method,
    *,
    orders: int,
    samples: int,
    learning: Learning | None,
    by_data: bool,
    seed: int,
    quiet: bool,
) -> tuple[list[Alignment], dict[str, Any]]:
    """Return how each network of this process comes to match the first, and what to report of all together.

    Args:
        networks: what is aligned.
        method: how.
        orders: descents.
        samples: of data.
        learning: how the method that learns does; None for the others.
        by_data: whether the method looks at data.
        seed: of all that is drawn.
        quiet: whether to show no progress.

    Raises:
        LandscapeError: as what it calls does.
    """
    from landscape_cli.alignment.cycle import STARTS
    from landscape_cli.alignment.pairs import PairAligner
    from landscape_cli.alignment.sets import match_checkpoints

    setting: dict[str, Any] = {"method": method.value, "orders": orders, "samples": samples}
    setting |= {"seed": seed, "device": networks.device, "inputs": None}
    if by_data and networks.data is not None:
        setting["inputs"] = networks.data.by_network(lambda seen: seen.train.x)
    if learning is not None:
        setting |= {"data": networks.data, "learning": learning}
    target, *others = networks.seeing
    movers = RANKS_OF_THIS_PROCESS.own(others)
    if method is not Method.CYCLE:
        aligner = PairAligner(networks.model, target, networks.symmetry, **setting)
        return [_match(aligner, target, network, quiet=quiet) for network in movers], {}
    checkpoints = [target, *movers]
    count = min(len(checkpoints), STARTS) * USUAL_ROUNDS * len(checkpoints)
    with progress("aligning", count, "matches", quiet=quiet) as advance:
        aligned = match_checkpoints(networks.model, checkpoints, networks.symmetry, **setting, advance=advance)
    ended = "the last changed nothing" if aligned.settled else "and there is no end in sight"
    say(f"{aligned.rounds} rounds to the mean of the others: {ended}", quiet=quiet)
    about = {"rounds": aligned.rounds, "settled": aligned.settled, "objective": list(aligned.objective)}
    return list(aligned.alignments[1:]), about


def write_aligned(
    files: Files,
    target: Checkpoint,
    movers: Sequence[Checkpoint],
    aligned: Sequence[Checkpoint],
    average: Checkpoint | None,
    alignments: Sequence[Alignment],
    result: Result,
    *,
    form: Format | None,
    quiet: bool,
) -> None:
    """Write the networks, and of all processes what was found; a file that cannot be written stops no other.

    Args:
        files: where to.
        target: the reference.
        movers: what was aligned to it, as it was.
        aligned: as it is now.
        average: the mean, where it is asked for.
        alignments: what was found, by network.
        result: to print.
        form: how.
        quiet: whether to say nothing else.

    Raises:
        LandscapeError: of the first file that could not be written.
    """
    from landscape_cli.cli.averaging import write_average
    from landscape_cli.cli.outputs import check_written, noting, write_exports, write_networks
    from landscape_cli.cli.reports.alignment import joined, permutation_records, show, write_permutations
    from landscape_cli.io.results import finite

    errors: list[LandscapeError] = []
    if files.outputs:
        errors += write_networks(files.outputs, aligned, out_dir=files.out_dir, force=files.force, quiet=quiet)
    errors += write_exports(files.exports, aligned, force=files.force, quiet=quiet)
    if average is not None and files.average is not None:
        said, error = write_average(files.average, average, force=files.force, quiet=quiet)
        result = replace(result, body={**result.body, "average": said})
        errors += [] if error is None else [error]
    records = [] if files.permutations is None else permutation_records(movers, alignments)
    parts = RANKS_OF_THIS_PROCESS.gather(finite([result.body, result.rows, records]), errors)
    if files.permutations is not None:
        with noting(errors):
            every = [record for _, _, records in parts for record in records]
            write_permutations(files.permutations, target, every, result.provenance, force=files.force)
            say(f"wrote {files.permutations}", quiet=quiet)
    if RANKS_OF_THIS_PROCESS.launch is not None:
        result = joined([(body, rows) for body, rows, _ in parts], result)
    with noting(errors):
        emit(result, ResultOptions(form=form), quiet=quiet, show=show)
    check_written(errors)


def _match(aligner: PairAligner, reference: Checkpoint, network: Checkpoint, *, quiet: bool) -> Alignment:
    """Match one network to the reference, with a progress bar where that takes long."""
    with progress(aligner.work, aligner.samples, "samples", quiet=quiet or not aligner.samples) as advance:
        return aligner.match(reference, network, advance=advance)
