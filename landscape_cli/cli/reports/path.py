"""What `landscape path` writes and draws: of one pair of networks, or of families."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from landscape_cli.choices import Format, Kind
from landscape_cli.cli.console import emit, print_table, say
from landscape_cli.cli.pairs import listing
from landscape_cli.cli.reports.families import shown_paths
from landscape_cli.errors import TrainingError
from landscape_cli.figures.figures import plot_families, plot_path
from landscape_cli.io.results import Result
from landscape_cli.measures.families import Pair, path_summary


@dataclass(frozen=True)
class Report:
    """Where the result of a command goes, and what it says besides what was measured.

    Attributes:
        kind: of the paths.
        orders: in how many random orders each was walked; None for those that have none.
        optimised: whether the paths lead through midpoints that were trained.
        provenance: of the result.
        output: the file; None for standard output.
        form: of standard output.
        plot: the picture, if any.
        force: whether existing files may be replaced.
        quiet: whether to leave out remarks.
    """

    kind: Kind
    orders: int | None
    optimised: bool
    provenance: Mapping[str, Any]
    output: Path | None
    form: Format | None
    plot: Path | None
    force: bool
    quiet: bool

    @property
    def about(self) -> dict[str, Any]:
        """What the body begins with."""
        return {"kind": self.kind.value} | ({} if self.orders is None else {"orders": self.orders})

    @property
    def title(self) -> str:
        """What the plot says of the paths."""
        orders = "" if self.orders is None else f", {self.orders} orders"
        return f"{self.kind.value}{orders}{', optimised' if self.optimised else ''}"

    def of_pair(self, found: Mapping[str, Any]) -> None:
        """Write what was measured of one pair."""
        if self.plot is not None:
            ends = " to ".join(Path(found[end]).name for end in ("start", "end"))
            plot_path(self.plot, found["points"], title=f"{ends} ({self.title})", force=self.force)
        self._emit(Result(self.about | dict(found), found["points"], self.provenance))
        train = found["barrier"]["train"]
        if not math.isnan(train["max"]):
            spread = "" if math.isnan(train.get("deviation", math.nan)) else f" ± {train['deviation']:.2g}"
            where = "around" if "deviation" in train else "at"  # of several orders it is a mean
            say(f"barrier: train error {train['max']:.4g}{spread} {where} τ = {train['tau']:.3g}", quiet=self.quiet)

    def of_families(
        self, families: Mapping[str, Sequence[Path]], pairs: Sequence[Pair], measured: Sequence[Mapping[str, Any]]
    ) -> None:
        """Write what was measured of every pair, and its mean and deviation per family pair.

        Raises:
            TrainingError: once all is written, if the midpoint of a pair is missing.
        """
        summary = path_summary(pairs, measured)
        if self.plot is not None:
            plot_families(self.plot, summary, title=f"{self.title}: mean and deviation over pairs", force=self.force)
        entries: list[dict[str, Any]] = []
        rows: list[dict[str, Any]] = []
        for pair, found in zip(pairs, measured, strict=True):
            assert pair.families is not None
            entries.append({"families": list(pair.families)} | dict(found))
            which = {"a": found["start"], "b": found["end"], "family_a": pair.families[0], "family_b": pair.families[1]}
            rows += [which | row for row in found["points"] or [{"tau": None}]]
        body = self.about | {"families": listing(families), "pairs": entries, "summary": summary}
        self._emit(Result(body, rows, self.provenance), shown_paths(summary))
        failed = sum("failure" in one for one in measured)
        if failed:
            raise TrainingError(
                f"{failed} of {len(measured)} midpoints are missing, and with them their families' means: lower --lr"
            )

    def _emit(self, result: Result, table: Sequence[Mapping[str, Any]] | None = None) -> None:
        """Write a result, of which a terminal shows other rows than its own if `table` has some."""
        show = None if table is None else lambda found: print_table(replace(found, rows=table))
        emit(result, output=self.output, form=self.form, force=self.force, quiet=self.quiet, show=show)
