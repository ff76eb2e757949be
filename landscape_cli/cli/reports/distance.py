"""What `landscape distance` writes: a row for each pair of networks, families' means, or one distance as a matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landscape_cli.cli.console import emit, print_table
from landscape_cli.cli.pairs import listing
from landscape_cli.cli.reports.families import shown_distances
from landscape_cli.io.results import Result
from landscape_cli.measures.families import Pair, distance_summary

if TYPE_CHECKING:
    from landscape_cli.choices import Metric
    from landscape_cli.cli.options import ResultOptions


@dataclass(frozen=True)
class Report:
    """What was measured, and how it is shown.

    Attributes:
        names: of the networks.
        pairs: which of them were compared.
        rows: the distances of each pair.
        matrix: the distance to show as a matrix; None for a row for each pair.
    """

    names: Sequence[str]
    pairs: Sequence[Pair]
    rows: Sequence[Mapping[str, Any]]
    matrix: Metric | None

    def write(
        self,
        families: Mapping[str, Sequence[Path]],
        provenance: Mapping[str, Any],
        options: ResultOptions,
        *,
        quiet: bool,
    ) -> None:
        """Write or print the result.

        Args:
            families: the files of each family; none where networks were named one by one.
            provenance: of the result.
            options: where it goes.
            quiet: whether to leave out remarks.
        """
        body: dict[str, Any] = {"networks": self.names, "pairs": self.rows}
        table: list[dict[str, Any]] | None = None  # of a terminal, where it is another than the rows
        if families:
            summary = distance_summary(self.pairs, self.rows)
            body = {"networks": self.names, "families": listing(families), "pairs": self.rows, "summary": summary}
            table = shown_distances(summary) if self.matrix is None else None
        rows = self.rows
        if self.matrix is not None:
            rows = as_matrix(rows, self.names, self.matrix)
            body |= {"matrix": {"metric": self.matrix.value, "rows": rows}}
        emit(
            Result(body, rows, provenance),
            output=options.output,
            form=options.form,
            force=options.force,
            quiet=quiet,
            show=lambda result: print_table(result if table is None else replace(result, rows=table), self.names),
        )


def as_matrix(rows: Sequence[Mapping[str, Any]], names: Sequence[str], metric: Metric) -> list[dict[str, Any]]:
    """Return one distance of all pairs as a row for each network, with a column for each; None where unmeasured."""
    measured = {(row["a"], row["b"]): row[metric.value] for row in rows}
    itself = metric.load().itself
    return [
        {"network": a} | {b: itself if a == b else measured.get((a, b), measured.get((b, a))) for b in names}
        for a in names
    ]
