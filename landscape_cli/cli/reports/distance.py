"""What `landscape distance` writes: a row for each pair of networks, families' means, or one distance as a matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from landscape_cli.choices import Metric
from landscape_cli.cli.console import emit, say
from landscape_cli.cli.options import ResultOptions
from landscape_cli.cli.reports.families import shown_distances
from landscape_cli.cli.tables import print_table
from landscape_cli.errors import shown
from landscape_cli.io.records import from_record
from landscape_cli.io.results import Result
from landscape_cli.measures.families import Pair, distance_summary
from landscape_cli.sharing.share import Values

if TYPE_CHECKING:
    from landscape_cli.measures.ensemble_result import Ensemble

Numbers: Any = Mapping[str, int | float | None]
"""The distances of a pair, by name."""


@dataclass(frozen=True)
class DistanceFrame:
    """Distances but for their numbers.

    Attributes:
        names: of the networks.
        families: the files of each family; none where networks were named one by one.
        pairs: which networks are compared.
        matrix: the distance to show as a matrix; None for a row for each pair.
    """

    names: tuple[str, ...]
    families: Mapping[str, tuple[str, ...]]
    pairs: tuple[Pair, ...]
    matrix: Metric | None

    @property
    def items(self) -> int:
        """How many pairs there are."""
        return len(self.pairs)

    @property
    def groups(self) -> list[list[str]]:
        """Their keys."""
        return [[str(k)] for k in range(len(self.pairs))]

    def rows(self, values: Values) -> list[dict[str, Any]]:
        """Return a row of a result for every pair.

        Raises:
            ResultError: if a value is none of a pair's.
        """
        rows = []
        for k, pair in enumerate(self.pairs):
            row: dict[str, Any] = {"a": self.names[pair.start], "b": self.names[pair.end]}
            if pair.families is not None:
                row |= {"family_a": pair.families[0], "family_b": pair.families[1]}
            numbers = from_record(Numbers, values[str(k)], f"what was measured of pair {k + 1}")
            rows.append(row | numbers)
        return rows


def write_distances(
    frame: DistanceFrame,
    values: Values,
    provenance: Mapping[str, Any],
    result: ResultOptions,
    *,
    ensembles: Mapping[str, Ensemble] | None = None,
    quiet: bool,
) -> None:
    """Write or print the result.

    Args:
        frame: what was measured.
        values: the distances.
        provenance: of the result.
        result: where it goes.
        ensembles: what was measured of networks together, by family; of networks named one by one there is one.
        quiet: whether to leave out remarks.

    Raises:
        ResultError: if it cannot be written, or a value is none of a pair's.
    """
    rows: Sequence[Mapping[str, Any]] = frame.rows(values)
    body: dict[str, Any] = {"networks": frame.names, "pairs": rows}
    table: list[dict[str, Any]] | None = None  # of a terminal, where it is another than the rows
    if frame.families:
        summary = distance_summary(frame.pairs, rows)
        body = {"networks": frame.names, "families": frame.families, "pairs": rows, "summary": summary}
        table = shown_distances(summary) if frame.matrix is None else None
    if frame.matrix is not None:
        rows = as_matrix(rows, frame.names, frame.matrix)
        body |= {"matrix": {"metric": frame.matrix.value, "rows": rows}}
    names = frame.families or {"": frame.names}
    together = {family: each.to_dict(names[family]) for family, each in (ensembles or {}).items()}
    if together:
        body["ensemble"] = together if frame.families else together[""]

    def show(written: Result) -> None:
        print_table(written if table is None else replace(written, rows=table), frame.names)
        if together:
            show_ensembles(written, together)

    written = Result(body, rows, provenance)
    emit(written, result, quiet=quiet, show=show)
    if together and result.is_csv:
        say("a CSV has the pairs alone, not the ensemble: that is in JSON, or in a table", quiet=quiet)


def show_ensembles(result: Result, together: Mapping[str, Mapping[str, Any]]) -> None:
    """Print a table for every ensemble, a row for each figure and a column for each split, then who shares a wedge."""
    for family, measured in together.items():
        of = f" of {family}" if family else ""
        geometry = f", {measured['geometry']} mean of weights" if "geometry" in measured else ""
        print(f"ensemble{of}: {len(measured['networks'])} networks{geometry}")
        print_table(replace(result, rows=ensemble_rows(measured)))
    print(*wedge_lines(together), sep="\n")


def ensemble_rows(measured: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row for every figure of an ensemble, as a table shows them."""
    splits = {key: _flat(value) for key, value in measured.items() if isinstance(value, Mapping)}
    figures = dict.fromkeys(figure for values in splits.values() for figure in values)
    return [{"": figure} | {split: values.get(figure) for split, values in splits.items()} for figure in figures]


def _flat(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of a split by how a table calls them."""
    flat: dict[str, Any] = {}
    for name, value in scores.items():
        words = name.replace("_", " ")
        if isinstance(value, Mapping):
            flat |= {f"{words}, {key}": part for key, part in value.items()}
        else:
            flat[words] = value
    return flat


def wedge_lines(together: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a line for every ensemble that says which networks share a wedge."""
    lines = []
    for family, measured in together.items():
        if "wedges" in measured:
            wedges = ", ".join(f"[{', '.join(map(shown, wedge))}]" for wedge in measured["wedges"])
            lines.append(f"wedges{f' of {shown(family)}' if family else ''}: [{wedges}]")
    return lines


def as_matrix(rows: Sequence[Mapping[str, Any]], names: Sequence[str], metric: Metric) -> list[dict[str, Any]]:
    """Return one distance of all pairs as a row for each network, with a column for each; None where unmeasured."""
    measured = {(row["a"], row["b"]): row[metric.value] for row in rows}
    itself = metric.load().itself
    return [
        {"network": a} | {b: itself if a == b else measured.get((a, b), measured.get((b, a))) for b in names}
        for a in names
    ]
