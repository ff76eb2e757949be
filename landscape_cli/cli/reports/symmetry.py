"""`landscape align --explain`: a symmetry as tables for a terminal, or as JSON or CSV."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from landscape_cli.choices import Format
from landscape_cli.cli.console import emit, say
from landscape_cli.cli.options import ResultOptions
from landscape_cli.cli.parsing import flag, given
from landscape_cli.errors import escaped, shown
from landscape_cli.io.results import Result
from landscape_cli.models.request import describe_model
from landscape_cli.symmetry.checking.words import completeness_lines, completeness_rows, completeness_values
from landscape_cli.symmetry.explain import (
    compact,
    compact_fixed,
    exchanged,
    explain,
    explanation_rows,
    fixed_for,
    scaled,
    signs_fixed_for,
    summary,
    tied,
)
from landscape_cli.symmetry.reasons import is_understood

if TYPE_CHECKING:
    from rich.table import Table

    from landscape_cli.io.checkpoint import Checkpoint
    from landscape_cli.symmetry import Symmetry
    from landscape_cli.symmetry.checking.completeness import Completeness

ALONGSIDE = {
    "reference",
    "explain",
    "check",
    "strict",
    "model_name",
    "input_shape",
    "input_dtype",
    "input_range",
    "model_output",
}
ALONGSIDE |= {"key", "device", "seed", "form", "quiet", "debug"}
"""What `--explain` goes with."""
WIDTH = 100
"""Of tables that are not printed on a terminal."""
Row = tuple[str, str, Mapping[str, Sequence[str]]]
"""A name, a number, and by role the axes of tensors."""
NAMES = 30
"""The widest that names of groups and reasons get."""


def check_explains(context: typer.Context) -> None:
    """Refuse what `--explain` has no use for: an option silently ignored misleads.

    Raises:
        BadParameter: naming it.
    """
    for name, value in context.params.items():
        if name == "networks" and value:
            raise typer.BadParameter(f"--explain takes one network: leave out {value[0]}, or --explain")
        if given(context, name) and name not in ALONGSIDE and name != "networks":
            raise typer.BadParameter(f"--explain writes nothing and matches nothing: leave out {flag(name)}")


def emit_explanation(
    network: Checkpoint,
    symmetry: Symmetry,
    checked: Completeness | None,
    provenance: Mapping[str, Any],
    *,
    form: Format | None,
    quiet: bool,
) -> None:
    """Print the symmetry of a network, and what a check says of it if there was one, as `form` says."""
    model = describe_model(network.model)
    body = {"network": network.path, "model": model} | explain(symmetry)
    rows = explanation_rows(symmetry)
    if checked is not None:
        body["check"] = completeness_values(checked)
        rows += completeness_rows(checked)
        for line in completeness_lines(checked):
            say(line, quiet=quiet)
    emit(
        Result(body, rows, provenance),
        ResultOptions(form=form),
        quiet=quiet,
        show=lambda _: print_explanation(symmetry, title=f"{shown(network.path)}, {model}"),
    )


def print_explanation(symmetry: Symmetry, *, title: str) -> None:
    """Print a symmetry as a heading and a table for each kind of group, and one for what is fixed."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else WIDTH
    console = Console(file=sys.stdout, width=width, markup=False, emoji=False, highlight=False)
    console.print(f"{escaped(title)}: {escaped(summary(symmetry))}", soft_wrap=True)
    group_tables: dict[str, Sequence[Row]] = {
        "Parts of the model that trade places": [
            (group.name, str(group.size), exchanged(group, symmetry.shapes)) for group in symmetry.modules
        ],
        "Units permuted together": _permutation_rows(symmetry),
        "Free scales (x multiplied, / divided by a unit's factor)": _scale_rows(symmetry),
        "Free signs": [
            (group.name, str(group.size), {"": compact(group.axes, symmetry.of_joined.shapes)})
            for group in symmetry.signs
        ],
    }
    tables = [
        *(_table(heading, "group", "units", rows) for heading, rows in group_tables.items()),
        _table("Fixed signs", "group", "units", _fixed_sign_rows(symmetry), last="why"),
        _table("Fixed by nature", "reason", "places", _fixed_rows(symmetry, understood=True)),
        _table("Fixed because not understood", "reason", "places", _fixed_rows(symmetry, understood=False)),
    ]
    for table in tables:
        if table.row_count:
            console.print()
            console.print(table)


def _permutation_rows(symmetry: Symmetry) -> list[Row]:
    return [
        (
            group.name,
            f"{group.blocks} x {group.size}" if group.blocks > 1 else str(group.units),
            tied(group.axes, symmetry.of_joined.shapes),
        )
        for group in symmetry.permutations
    ]


def _scale_rows(symmetry: Symmetry) -> list[Row]:
    rows: list[Row] = [(group.name, str(group.size), scaled(group.axes, symmetry.shapes)) for group in symmetry.scales]
    if symmetry.output:
        rows.append(("all outputs", "1", scaled(symmetry.output, symmetry.shapes, counted=False)))
    return rows


def _fixed_sign_rows(symmetry: Symmetry) -> list[Row]:
    units = {group.name: group.units for group in symmetry.permutations}
    return [(name, str(units[name]), {"": [reason]}) for name, reason in signs_fixed_for(symmetry)]


def _fixed_rows(symmetry: Symmetry, *, understood: bool) -> list[Row]:
    return [
        (reason, str(sum(axis.places for axis in axes)), {"": compact_fixed(axes)})
        for reason, axes in fixed_for(symmetry).items()
        if is_understood(axes[0]) is understood
    ]


def _table(title: str, first: str, second: str, rows: Sequence[Row], *, last: str = "tensors and their axes") -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column(first, max_width=NAMES, overflow="fold")
    table.add_column(second, justify="right")
    table.add_column(last, overflow="fold")
    for name, size, axes in rows:
        lines = (f"{role} {', '.join(map(shown, names))}".strip() for role, names in axes.items())
        table.add_row(shown(name), size, "\n".join(lines))
    return table
