"""How `landscape path` measures: paths network by network, or each as a whole, with networks written or trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from landscape_cli.cli.console import in_options, progress

if TYPE_CHECKING:
    from landscape_cli.alignment.pairs import PairAligner
    from landscape_cli.cli.meeting import CommonInputs
    from landscape_cli.cli.merging import NetworkAt, NetworkWriter
    from landscape_cli.cli.reports.path import Measured
    from landscape_cli.errors import LandscapeError
    from landscape_cli.evaluation.arithmetic import Arithmetic
    from landscape_cli.io.checkpoint import Checkpoint
    from landscape_cli.measures.families import Pair
    from landscape_cli.measures.midpoint import MidpointOptimizer
    from landscape_cli.measures.optimized_path import OptimizedPath
    from landscape_cli.measures.path_evaluator import PathEvaluator
    from landscape_cli.sharing.share import Share, Values


def share_paths(
    wanted: Sequence[str],
    pair_of: Callable[[int], tuple[Checkpoint, Checkpoint]],
    writer_of: Callable[[Checkpoint], NetworkWriter],
    share: Share,
    like: PathEvaluator,
    *,
    quiet: bool,
) -> Values:
    """Return what is measured of networks of paths, by their keys; `like` is one of the evaluators."""
    from landscape_cli.cli.reports.path import COUNTED
    from landscape_cli.measures.items import compared, rows_of

    def measured(advance: Callable[[int], None] | None) -> Iterator[Values]:
        for k, keys in groupby(wanted, key=lambda key: key.partition("/")[0]):
            a, b = pair_of(int(k))
            evaluator, stops = writer_of(a).evaluator, [a.params, b.params]
            places = [int(key.partition("/")[2]) for key in keys]
            for some, scores in evaluator.measure_some(stops, places, advance=advance):
                values = dict(zip((f"{k}/{place}" for place in some), rows_of(scores), strict=True))
                counts = evaluator.counts(stops) if some[0] == 0 else {}
                counted = {f"{k}/0{COUNTED}": counts} if counts else {}
                yield values | counted | compared(f"{k}/{some[0]}", evaluator.evaluator.arithmetic)

    count = len(wanted)
    with progress(f"{like.kind.value} path", like.samples(count), "samples", quiet=quiet, networks=count) as advance:
        return share.collect(measured(advance))


def share_pairs(
    wanted: Sequence[str],
    pair_of: Callable[[int], tuple[Checkpoint, Checkpoint]],
    measure: Callable[[int, Checkpoint, Checkpoint], Measured],
    share: Share,
    arithmetic: Arithmetic,
    warn: Callable[[], None],
) -> Values:
    """Return what is measured of paths, each as a whole, by their keys; networks are written on the way.

    In the end `warn` tells of what this process has measured.
    """
    from landscape_cli.io.records import to_record
    from landscape_cli.measures.items import compared

    def measured() -> Iterator[Values]:
        for key in wanted:
            result = measure(int(key), *pair_of(int(key))).without_networks()
            yield {key: to_record(result)} | compared(key, arithmetic)
        warn()

    return share.collect(measured())


def measure_pair(
    wanted: Sequence[NetworkAt], ends: tuple[Checkpoint, Checkpoint], writer: NetworkWriter, *, quiet: bool
) -> Measured:
    """Return what is measured of the path between two networks, and write those wanted of it."""
    from landscape_cli.cli.reports.path import Measured

    (a, b), like = ends, writer.evaluator
    networks = like.networks() + len(wanted)
    with progress(f"{like.kind.value} path", like.samples(networks), "samples", quiet=quiet, networks=networks) as done:
        result = like.measure([a.params, b.params], advance=done)
        written = writer.write(wanted, ends, [a.params, b.params], advance=done)
    return Measured(a.path, b.path, result, networks=written)


def optimize_pair(
    out: Path | None,
    wanted: Sequence[NetworkAt],
    ends: tuple[Checkpoint, Checkpoint],
    optimizer: MidpointOptimizer,
    write: Callable[[OptimizedPath, Path, Sequence[Checkpoint]], LandscapeError | None],
    writer: NetworkWriter,
    *,
    midpoints: int,
    count: str,
    quiet: bool,
) -> Measured:
    """Return what is measured of the optimised path between two networks, or why it is missing.

    The midpoint is written by `write`, other networks by `writer`, to whose errors is added why one could not be.
    """
    from landscape_cli.cli.reports.path import Measured
    from landscape_cli.cli.training.log import watch
    from landscape_cli.errors import TrainingError

    a, b = ends
    try:
        optimized = optimizer.optimize_several(
            midpoints,
            a,
            b,
            watching=lambda: watch(None, 1, quiet=quiet),
            measuring=partial(progress, f"path{count}", unit="samples", quiet=quiet),
            phase=f"midpoint{count}",
        )
    except TrainingError as error:
        return Measured(a.path, b.path, None, failure=in_options(str(error)))
    refused = None if out is None else write(optimized, out, ends)
    written = writer.write(wanted, ends, [a.params, optimized.midpoint, b.params])
    writer.errors.extend([] if refused is None else [refused])
    midpoint = None if out is None or refused is not None else str(out)
    return Measured(a.path, b.path, optimized, midpoint, networks=written)


def aligned_pairs(
    networks: Sequence[Checkpoint], pairs: Sequence[Pair], common: CommonInputs, aligner: PairAligner | None
) -> Iterator[tuple[Checkpoint, Checkpoint]]:
    """Yield the two networks of every pair, which see inputs alike, the second aligned if there is an aligner."""
    for pair in pairs:
        a, b = common.of([networks[pair.start], networks[pair.end]])
        yield a, b if aligner is None else aligner.align(a, b)
