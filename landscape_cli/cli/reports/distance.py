"""What `landscape distance` writes: a row for each pair of networks, families' means, or one distance as a matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landscape_cli.choices import Format
from landscape_cli.cli.console import emit, print_table, say
from landscape_cli.cli.pairs import listing
from landscape_cli.cli.reports.families import shown_distances
from landscape_cli.errors import shown
from landscape_cli.io.results import Result
from landscape_cli.measures.families import Pair, distance_summary

if TYPE_CHECKING:
    from landscape_cli.choices import Metric
    from landscape_cli.cli.options import ResultOptions
    from landscape_cli.measures.ensemble_result import Ensemble


@dataclass(frozen=True)
class Report:
    """What was measured, and how it is shown.

    Attributes:
        names: of the networks.
        pairs: which of them were compared.
        rows: the distances of each pair.
        matrix: the distance to show as a matrix; None for a row for each pair.
        ensembles: what was measured of networks together, by family; of networks named one by one there is one.
    """

    names: Sequence[str]
    pairs: Sequence[Pair]
    rows: Sequence[Mapping[str, Any]]
    matrix: Metric | None
    ensembles: Mapping[str, Ensemble] = field(default_factory=dict)

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
        together = self._together(families)
        if together:
            body["ensemble"] = together if families else together[""]

        def show(result: Result) -> None:
            print_table(result if table is None else replace(result, rows=table), self.names)
            if together:
                show_ensembles(result, together)

        emit(
            Result(body, rows, provenance),
            output=options.output,
            form=options.form,
            force=options.force,
            quiet=quiet,
            show=show,
        )
        if together and (
            options.form is Format.CSV or (options.output is not None and options.output.suffix == ".csv")
        ):
            say("a CSV has the pairs alone, not the ensemble: that is in JSON, or in a table", quiet=quiet)

    def _together(self, families: Mapping[str, Sequence[Path]]) -> dict[str, dict[str, Any]]:
        """Return what results hold of the ensembles, by family."""
        names = {name: [str(file) for file in files] for name, files in families.items()} or {"": list(self.names)}
        return {family: ensemble.to_dict(names[family]) for family, ensemble in self.ensembles.items()}


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
