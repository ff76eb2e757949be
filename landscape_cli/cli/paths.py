"""How `landscape path` measures: paths that processes share, with networks written, with trained midpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from landscape_cli.cli.console import in_options, progress, say

if TYPE_CHECKING:
    from landscape_cli.alignment.pairs import PairAligner
    from landscape_cli.cli.meeting import CommonInputs
    from landscape_cli.cli.merging import NetworkAt, NetworkWriter
    from landscape_cli.cli.reports.path import Measured
    from landscape_cli.errors import LandscapeError
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


def measure_paths(
    pairs: Iterable[tuple[Checkpoint, Checkpoint]],
    wanted: Sequence[Sequence[NetworkAt]],
    writer_of: Callable[[Checkpoint], NetworkWriter],
    like: PathEvaluator,
    *,
    quiet: bool,
) -> list[Measured]:
    """Return what is measured of the path between the two networks of every pair, and write those wanted of it.

    `like` is one of the evaluators, all of which have as much to do.
    """
    from landscape_cli.cli.reports.path import Measured

    measured = []
    networks = len(wanted) * like.networks() + sum(map(len, wanted))
    total = like.samples(networks)
    with progress(f"{like.kind.value} path", total, "samples", quiet=quiet, networks=networks) as advance:
        for (a, b), of_pair in zip(pairs, wanted, strict=True):
            stops = [a.params, b.params]
            writer = writer_of(a)
            result = writer.evaluator.measure(stops, advance=advance)
            written = writer.write(of_pair, (a, b), stops, advance=advance)
            measured.append(Measured(a.path, b.path, result, networks=written))
    return measured


def optimize_paths(
    pairs: Iterable[tuple[Checkpoint, Checkpoint]],
    outs: Sequence[Path | None],
    wanted: Sequence[Sequence[NetworkAt]],
    optimizer_of: Callable[[Checkpoint], MidpointOptimizer],
    write: Callable[[OptimizedPath, Path, Sequence[Checkpoint]], LandscapeError | None],
    writer_of: Callable[[Checkpoint], NetworkWriter],
    *,
    midpoints: int,
    quiet: bool,
) -> list[Measured]:
    """Return what is measured of the optimised path of every pair, or why it is missing.

    Midpoints are written by `write`, other networks by what `writer_of` gives, to whose errors is added why one could
    not be.

    Raises:
        TrainingError: if every midpoint is missing.
    """
    from landscape_cli.cli.reports.path import Measured
    from landscape_cli.cli.training.log import watch
    from landscape_cli.errors import TrainingError

    measured: list[Measured] = []
    for k, ((a, b), out, of_pair) in enumerate(zip(pairs, outs, wanted, strict=True)):
        count = f" {k + 1} of {len(outs)}" if len(outs) > 1 else ""
        try:
            optimized = optimizer_of(a).optimize_several(
                midpoints,
                a,
                b,
                watching=lambda: watch(None, 1, quiet=quiet),
                measuring=partial(progress, f"path{count}", unit="samples", quiet=quiet),
                phase=f"midpoint{count}",
            )
        except TrainingError as error:
            if k + 1 == len(outs) and all(pair.failure is not None for pair in measured):
                raise
            say(f"warning: the midpoint of {a.path} and {b.path} is missing: {error}")
            measured.append(Measured(a.path, b.path, None, failure=in_options(str(error))))
            continue
        refused, writer = None if out is None else write(optimized, out, (a, b)), writer_of(a)
        written = writer.write(of_pair, (a, b), [a.params, optimized.midpoint, b.params])
        measured.append(Measured(a.path, b.path, optimized, out if refused is None else None, networks=written))
        writer.errors.extend([] if refused is None else [refused])
    return measured


def aligned_pairs(
    networks: Sequence[Checkpoint], pairs: Sequence[Pair], common: CommonInputs, aligner: PairAligner | None
) -> Iterator[tuple[Checkpoint, Checkpoint]]:
    """Yield the two networks of every pair, which see inputs alike, the second aligned if there is an aligner."""
    for pair in pairs:
        a, b = common.of([networks[pair.start], networks[pair.end]])
        yield a, b if aligner is None else aligner.align(a, b)
