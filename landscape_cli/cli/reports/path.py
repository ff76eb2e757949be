"""What `landscape path` writes and draws: of one pair of networks, or of families."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landscape_cli.cli.console import emit, say
from landscape_cli.cli.drawing import drawn_last
from landscape_cli.cli.pairs import Chosen, listing
from landscape_cli.cli.reports.families import shown_paths
from landscape_cli.cli.reports.plane import write_plane
from landscape_cli.cli.sketch import number, print_curves
from landscape_cli.cli.tables import print_table
from landscape_cli.errors import TrainingError
from landscape_cli.evaluation.scores import Scores
from landscape_cli.io.records import from_record
from landscape_cli.io.results import Result
from landscape_cli.measures.families import Pair, path_summary
from landscape_cli.measures.items import scores_from
from landscape_cli.measures.optimized_path import OptimizedPath
from landscape_cli.measures.path_result import PathResult
from landscape_cli.measures.path_shape import PathShape
from landscape_cli.measures.surroundings_frame import SurroundingsFrame
from landscape_cli.sharing.share import Values

if TYPE_CHECKING:
    from landscape_cli.cli.options import PictureOptions


COUNTED = " counted"
"""What is added to the key of a path's first network for what is counted along it."""
Counts = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Measured:
    """What was measured of one pair of networks.

    Attributes:
        start: the name of the first.
        end: that of the second.
        result: what was measured; None where the training of the midpoint failed.
        midpoint: the file of the midpoint, if it was written.
        failure: why there is no result.
        networks: those of the path that were written: where, to which files, and what was measured of them.
    """

    start: str
    end: str
    result: PathResult | OptimizedPath | None
    midpoint: str | None = None
    failure: str | None = None
    networks: Sequence[Mapping[str, Any]] = ()

    def without_networks(self) -> Measured:
        """Return the same without the midpoint itself."""
        path = self.result
        return replace(self, result=path.without_networks()) if isinstance(path, OptimizedPath) else self

    def body(self) -> dict[str, Any]:
        """Return what the result of the command holds of this pair."""
        names = {"start": self.start, "end": self.end}
        if self.result is None:
            return names | dict.fromkeys(("midpoint", "barrier", "pieces", "points")) | {"failure": self.failure}
        body = names | self.result.figures() | ({"networks": list(self.networks)} if self.networks else {})
        if self.midpoint is not None:
            body["midpoint"]["path"] = self.midpoint
        return body


@dataclass(frozen=True)
class PathsFrame:
    """Paths between pairs of networks, but for what is measured: every network on them.

    Attributes:
        files: of the networks.
        families: the files of each family; none where two networks were named.
        pairs: between which of the networks paths lead.
        shape: what there is to measure on each.
    """

    files: tuple[str, ...]
    families: Mapping[str, tuple[str, ...]]
    pairs: tuple[Pair, ...]
    shape: PathShape

    @property
    def items(self) -> int:
        """How many networks are evaluated."""
        return len(self.pairs) * self.shape.networks()

    @property
    def groups(self) -> list[list[str]]:
        """Their keys: a group a path."""
        return [[f"{k}/{place}" for place in range(self.shape.networks())] for k in range(len(self.pairs))]

    def scores(self, values: Values) -> dict[str, Scores]:
        """Return the scores of all networks that were measured."""
        return scores_from(values, [key for group in self.groups for key in group if key in values], self.shape.splits)

    def results(self, values: Values) -> Iterator[PathResult]:
        """Yield the result of each path.

        Raises:
            ResultError: if a value is none of a path's.
        """
        for k, group in enumerate(self.groups):
            counts = from_record(Counts, values.get(f"{group[0]}{COUNTED}", {}), f"what was counted on path {k + 1}")
            yield self.shape.result(scores_from(values, group, self.shape.splits), counts, pieces=1)


@dataclass(frozen=True)
class PairsFrame:
    """Paths between pairs of networks, each measured as a whole, as where a midpoint is trained.

    Attributes:
        files: as in `PathsFrame`, and likewise families and pairs.
    """

    files: tuple[str, ...]
    families: Mapping[str, tuple[str, ...]]
    pairs: tuple[Pair, ...]

    @property
    def items(self) -> int:
        """How many paths there are."""
        return len(self.pairs)

    @property
    def groups(self) -> list[list[str]]:
        """Their keys."""
        return [[str(k)] for k in range(len(self.pairs))]


PathsOrLine = PathsFrame | PairsFrame | SurroundingsFrame


def write_paths(
    frame: PathsOrLine, values: Values, provenance: Mapping[str, Any], result: PictureOptions, *, quiet: bool
) -> None:
    """Write what was measured of paths, or of a line through one network, and draw it if that is asked for.

    Raises:
        ResultError: if it cannot be written, or a value is none of a path's.
        TrainingError: if midpoints are missing; unless all are, once all is written.
    """
    if isinstance(frame, SurroundingsFrame):
        write_plane(frame, values, provenance, result, quiet=quiet)
        return
    if isinstance(frame, PairsFrame):
        measured = [
            from_record(Measured, values[str(k)], f"what was measured of path {k + 1}") for k in range(frame.items)
        ]
    else:
        measured = [
            Measured(frame.files[pair.start], frame.files[pair.end], result)
            for pair, result in zip(frame.pairs, frame.results(values), strict=True)
        ]
    families = {name: [Path(file) for file in files] for name, files in frame.families.items()}
    chosen = Chosen(families, [Path(file) for file in frame.files], frame.pairs)
    Report(provenance, result, quiet).write(chosen, measured)


@dataclass(frozen=True)
class Report:
    """Where the result of a command goes, and what it says besides what was measured.

    Attributes:
        provenance: of the result.
        options: the files, the form of standard output, and whether existing files may be replaced.
        quiet: whether to leave out remarks.
    """

    provenance: Mapping[str, Any]
    options: PictureOptions
    quiet: bool

    def write(self, chosen: Chosen, measured: Sequence[Measured]) -> None:
        """Write what was measured of every pair, and draw it if that is asked for.

        Raises:
            TrainingError: once all is written, if the midpoint of a pair is missing; at once if every one is.
        """
        failures = [pair.failure for pair in measured if pair.failure is not None]
        if len(failures) == len(measured):
            raise TrainingError(failures[-1])
        for pair in measured:
            if pair.failure is not None:
                say(f"warning: the midpoint of {pair.start} and {pair.end} is missing: {pair.failure}")
        if chosen.families:
            self._of_families(chosen, measured)
        else:
            self._of_pair(*measured)

    def _of_pair(self, measured: Measured) -> None:
        """Write what was measured of one pair."""
        assert measured.result is not None
        path = measured.result.path if isinstance(measured.result, OptimizedPath) else measured.result

        body = measured.body()
        result = Result(path.about() | body, body["points"], self.provenance)
        with self._drawn_last(result):
            self._emit(result)
            self._say_barrier(path)

    def _say_barrier(self, path: PathResult) -> None:
        """Say how high the barrier is."""
        train = path.barrier["train"]
        if not math.isnan(train.max):
            spread = "" if train.deviation is None or math.isnan(train.deviation) else f" ± {train.deviation:.2g}"
            where = "at" if train.deviation is None else "around"  # of several orders it is a mean
            say(
                f"barrier: train {path.quantity.name} {train.max:.4g}{spread} {where} τ = {train.tau:.3g}",
                quiet=self.quiet,
            )

    def _of_families(self, chosen: Chosen, measured: Sequence[Measured]) -> None:
        """Write what was measured of every pair, and its mean and deviation per family pair."""
        bodies = [pair.body() for pair in measured]
        summary = path_summary(chosen.pairs, bodies)
        about = next(pair.result.about() for pair in measured if pair.result is not None)  # all fail: an error before
        entries: list[dict[str, Any]] = []
        rows: list[dict[str, Any]] = []
        for pair, body in zip(chosen.pairs, bodies, strict=True):
            assert pair.families is not None
            entries.append({"families": list(pair.families)} | body)
            which = {"a": body["start"], "b": body["end"], "family_a": pair.families[0], "family_b": pair.families[1]}
            rows += [which | row for row in body["points"] or [{"tau": None}]]
        whole = about | {"families": listing(chosen.families), "pairs": entries, "summary": summary}

        result = Result(whole, rows, self.provenance)
        with self._drawn_last(result):
            self._emit(result, shown_paths(summary))
            failed = sum(pair.failure is not None for pair in measured)
            if failed:
                raise TrainingError(
                    f"{failed} of {len(measured)} midpoints are missing, and with them their families' means: "
                    "lower --lr"
                )

    def _drawn_last(self, result: Result) -> AbstractContextManager[None]:
        """Draw the result at the end, if that is asked for."""
        return drawn_last(self.options.plot, result, force=self.options.force, quiet=self.quiet)

    def _emit(self, result: Result, table: Sequence[Mapping[str, Any]] | None = None) -> None:
        """Write a result, of which a terminal shows other rows than its own if `table` has some."""
        show = show_path if table is None else lambda result: print_table(replace(result, rows=table))
        emit(result, self.options, quiet=self.quiet, show=show)


def show_path(result: Result) -> None:
    """Print the points of a path, its barriers, and a sketch of it."""
    print_table(result)
    rows, quantity = [], result.body.get("quantity", "error")
    for split, marks in result.body["barrier"].items():
        if split == "loss":
            rows += [{"barrier": f"{of} loss", **each} for of, each in marks.items()]
        else:
            rows.append({"barrier": f"{split} {quantity}", **marks})
    print_table(replace(result, rows=rows))
    names = [name for kind in ("error", "loss") for name in result.rows[0] if name.endswith(f"_{kind}")]
    print_curves(
        {name.replace("_", " "): [number(row.get(name)) for row in result.rows] for name in names}, alike=False
    )
