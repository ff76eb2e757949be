"""How `landscape path` measures: paths network by network, or each as a whole, with networks written or trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landscape_cli.cli.console import check_networks, in_options, progress, say
from landscape_cli.cli.merging import NetworkAt, NetworkWriter
from landscape_cli.cli.outputs import noting
from landscape_cli.errors import listed

if TYPE_CHECKING:
    from landscape_cli.alignment.pairs import PairAligner
    from landscape_cli.choices import Target
    from landscape_cli.cli.meeting import CommonInputs
    from landscape_cli.cli.pairs import Chosen
    from landscape_cli.cli.reports.path import Measured, PairsFrame, PathsFrame
    from landscape_cli.cli.sharing import Sharing
    from landscape_cli.data.datasets import DataSet
    from landscape_cli.evaluation.arithmetic import Arithmetic
    from landscape_cli.io.checkpoint import Checkpoint
    from landscape_cli.measures.midpoint import MidpointOptimizer
    from landscape_cli.measures.path_evaluator import PathEvaluator
    from landscape_cli.samplers import Recipe
    from landscape_cli.sharing.share import Values
    from landscape_cli.symmetry import Symmetry


@dataclass(frozen=True)
class MidpointTraining:
    """How the midpoints of paths are trained, and where they go.

    Attributes:
        recipe: how to train.
        count: how many midpoints each path has in turn.
        target: what the loss is of.
        symmetry: of the networks.
        aligner: matches a midpoint's units to the middle's.
        seed: of all that is random.
        outs: the file of each path's midpoint; None where it has none.
    """

    recipe: Recipe
    count: int
    target: Target
    symmetry: Symmetry
    aligner: PairAligner
    seed: int
    outs: Sequence[Path | None]

    def optimizer(self, evaluator: PathEvaluator) -> MidpointOptimizer:
        """Return what optimises paths that an evaluator measures."""
        from landscape_cli.measures.midpoint import MidpointOptimizer

        return MidpointOptimizer(
            evaluator, self.symmetry, self.aligner, self.recipe, seed=self.seed, target=self.target
        )


@dataclass(frozen=True)
class PathMeasurement:
    """The paths that a command measures.

    Attributes:
        networks: all that there are.
        chosen: between which of them paths lead.
        wanted: which networks of each path are written.
        common: lets two that see inputs differently meet.
        aligner: aligns the second of a pair to the first; None to leave it as it is.
        training: how midpoints are trained; None where there are none.
        evaluator_on: returns what measures paths on data as the two see them.
        arithmetic: in which numbers networks are evaluated.
        provenance: what results and networks say of this command, given the networks read.
        shared: this process's share, and where the result goes.
        quiet: whether to say nothing.
    """

    networks: Sequence[Checkpoint]
    chosen: Chosen
    wanted: Sequence[Sequence[NetworkAt]]
    common: CommonInputs
    aligner: PairAligner | None
    training: MidpointTraining | None
    evaluator_on: Callable[[DataSet], PathEvaluator]
    arithmetic: Arithmetic
    provenance: Callable[..., dict[str, Any]]
    shared: Sharing
    quiet: bool
    _writers: list[NetworkWriter] = field(default_factory=list, init=False)

    def measure(self) -> None:
        """Measure all, and write the result; `shared.errors` then says what else could not be written.

        Raises:
            LandscapeError: as `Sharing.finish` does.
        """
        from landscape_cli.cli.pairs import listing
        from landscape_cli.cli.reports.path import PairsFrame, PathsFrame

        families = {name: tuple(files) for name, files in listing(self.chosen.families).items()}
        named = (tuple(each.path for each in self.networks), families, tuple(self.chosen.pairs))
        provenance = self.provenance(networks=self.networks, arithmetic=None)
        if self.training is None and not any(self.wanted):
            like = self._writer_of(self.networks[0]).evaluator
            self._by_networks(PathsFrame(*named, like.shape), like, provenance)
        else:
            self._as_wholes(PairsFrame(*named), provenance)

    def _by_networks(self, frame: PathsFrame, like: PathEvaluator, provenance: Mapping[str, Any]) -> None:
        """Measure networks of paths, each by itself; `like` is one of the evaluators."""
        from landscape_cli.cli.reports.path import write_paths

        check_networks(frame.items)  # before each is given a key
        share = self.shared.begin(provenance)
        keys = share.wanted(frame.groups, block=like.evaluator.block(self.networks[0].params))
        count = len(keys)
        samples = like.samples(count)
        with progress(f"{like.kind.value} path", samples, "samples", quiet=self.quiet, networks=count) as advance:
            values = share.collect(self._networks(keys, advance))
        like.warn_of_missing(frame.scores(values))
        self.shared.finish(frame, values, provenance, write_paths, self.arithmetic)

    def _networks(self, keys: Sequence[str], advance: Callable[[int], None] | None) -> Iterator[Values]:
        """Yield what is measured of networks of paths, by their keys."""
        from landscape_cli.cli.reports.path import COUNTED
        from landscape_cli.measures.items import compared, rows_of

        for k, of_path in groupby(keys, key=lambda key: key.partition("/")[0]):
            a, b = self._pair(int(k))
            evaluator, stops = self._writer_of(a).evaluator, [a.params, b.params]
            places = [int(key.partition("/")[2]) for key in of_path]
            for some, scores in evaluator.measure_some(stops, places, advance=advance):
                values = dict(zip((f"{k}/{place}" for place in some), rows_of(scores), strict=True))
                counts = evaluator.counts(stops) if some[0] == 0 else {}
                counted = {f"{k}/0{COUNTED}": counts} if counts else {}
                yield values | counted | compared(f"{k}/{some[0]}", evaluator.evaluator.arithmetic)

    def _as_wholes(self, frame: PairsFrame, provenance: Mapping[str, Any]) -> None:
        """Measure paths, each as a whole; networks are written on the way."""
        from landscape_cli.cli.reports.path import write_paths

        share = self.shared.begin(provenance)
        values = share.collect(self._paths(share.wanted(frame.groups)))
        with noting(self.shared.errors):
            self.shared.finish(frame, values, provenance, write_paths, self.arithmetic)

    def _paths(self, keys: Sequence[str]) -> Iterator[Values]:
        """Yield what is measured of paths, by their keys; in the end tell of what this process has measured."""
        from landscape_cli.io.records import to_record
        from landscape_cli.measures.items import compared

        for key in keys:
            ends = self._pair(int(key))
            if self.training is None:
                measured = self._straight(int(key), ends)
            else:
                measured = self._optimized(int(key), ends, self.training)
            yield {key: to_record(measured.without_networks())} | compared(key, self.arithmetic)
        for writer in self._writers:
            writer.evaluator.warn_of_missing()

    def _straight(self, k: int, ends: tuple[Checkpoint, Checkpoint]) -> Measured:
        """Return what is measured of a path, and write those networks wanted of it."""
        from landscape_cli.cli.reports.path import Measured

        writer, stops = self._writer_of(ends[0]), [end.params for end in ends]
        like, wanted = writer.evaluator, self.wanted[k]
        count = like.networks() + len(wanted)
        samples = like.samples(count)
        with progress(f"{like.kind.value} path", samples, "samples", quiet=self.quiet, networks=count) as done:
            result = like.measure(stops, advance=done)
            written = writer.write(wanted, ends, stops, advance=done)
        return Measured(ends[0].path, ends[1].path, result, networks=written)

    def _optimized(self, k: int, ends: tuple[Checkpoint, Checkpoint], training: MidpointTraining) -> Measured:
        """Return what is measured of an optimised path, or why it is missing, and write those networks wanted of it."""
        from landscape_cli.cli.midpoints import write_midpoint
        from landscape_cli.cli.reports.path import Measured
        from landscape_cli.cli.training.watching import watch
        from landscape_cli.errors import TrainingError

        (a, b), writer, out = ends, self._writer_of(ends[0]), training.outs[k]
        count = f" {k + 1} of {len(training.outs)}" if len(training.outs) > 1 else ""
        try:
            optimized = training.optimizer(writer.evaluator).optimize_several(
                training.count,
                a,
                b,
                watching=lambda: watch(None, 1, quiet=self.quiet),
                measuring=partial(progress, f"path{count}", unit="samples", quiet=self.quiet),
                phase=f"midpoint{count}",
            )
        except TrainingError as error:
            return Measured(a.path, b.path, None, failure=in_options(str(error)))
        refused = None
        if out is not None:
            whole, force = self.common.data, self.shared.replaces
            setting: dict[str, Any] = {"data": whole, "provenance": self.provenance, "force": force}
            refused = write_midpoint(optimized, out, ends, quiet=self.quiet, **setting)
        written = writer.write(self.wanted[k], ends, [a.params, optimized.midpoint, b.params])
        self.shared.errors.extend([] if refused is None else [refused])
        midpoint = None if out is None or refused is not None else str(out)
        return Measured(a.path, b.path, optimized, midpoint, networks=written)

    def _pair(self, k: int) -> tuple[Checkpoint, Checkpoint]:
        """Return the two networks of a pair, which see inputs alike, the second aligned if there is an aligner."""
        pair = self.chosen.pairs[k]
        a, b = self.common.of([self.networks[pair.start], self.networks[pair.end]])
        return a, b if self.aligner is None else self.aligner.align(a, b)

    @cached_property
    def _writer_of(self) -> Callable[[Checkpoint], NetworkWriter]:
        """What gives each network the writer for all that see inputs as it does."""
        return self.common.data.by_network(self._make_writer)

    def _make_writer(self, seen: DataSet) -> NetworkWriter:
        evaluator = self.evaluator_on(seen)
        if evaluator.repair is not None and not self._writers:
            say(f"units corrected between the ends: those of {listed(evaluator.repair.modules)}", quiet=self.quiet)
        force, errors = self.shared.replaces, self.shared.errors
        self._writers.append(NetworkWriter(evaluator, seen, self.provenance, force, self.quiet, errors))
        return self._writers[-1]
