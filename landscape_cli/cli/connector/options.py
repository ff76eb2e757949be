"""The options of `path --kind connector`, where its vertices go, and what does not go together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from landscape_cli.choices import Geometry, Kind, Shape, Target
from landscape_cli.cli.groups import Group
from landscape_cli.cli.options import LARGEST_STACK
from landscape_cli.cli.outputs import check_distinct, check_fields
from landscape_cli.cli.parsing import flag, given
from landscape_cli.cli.provenance import OF_CONNECTOR
from landscape_cli.errors import CheckpointError
from landscape_cli.io.atomic import check_output
from landscape_cli.io.regular import resolved

if TYPE_CHECKING:
    from landscape_cli.geometry.simplicial import SimplicialComplex

FIELD = "{vertex}"
OF_PATHS = (
    "begin",
    "stop",
    "pairs",
    "orders",
    "optimize_midpoint",
    "midpoint_out",
    "network_at",
    "network_out",
    "export",
    "repair",
)


@dataclass(frozen=True)
class ConnectorOptions(Group):
    """The set that connects several networks, and how it is trained."""

    panel = "Connector (--kind connector)"

    shape: Annotated[
        Shape | None,
        typer.Option(
            "--shape",
            help="complex: a trained vertex for each set of two networks or more; star: every network with the same "
            "centres. By default a complex of up to four networks.",
        ),
    ] = None
    centres: Annotated[
        int,
        typer.Option(
            "--centres",
            min=1,
            max=LARGEST_STACK,
            help="Star: trained vertices that all share; of several, without --shape, a star.",
        ),
    ] = 1
    train_on: Annotated[
        Target,
        typer.Option(
            "--train-on",
            help="Train every vertex alone, or all of them on points drawn from the connector; with "
            "--optimize-midpoint, the midpoint alone or on points of both pieces.",
        ),
    ] = Target.VERTICES
    orthogonal: Annotated[
        bool,
        typer.Option("--orthogonal", help="Keep each step of a vertex orthogonal to the lines between its networks."),
    ] = False
    geometry: Annotated[
        Geometry | None,
        typer.Option(
            "--geometry",
            help="Flat simplices, or those on the spheres of normalised networks; by default spherical if all are.",
        ),
    ] = None
    align_rounds: Annotated[
        int,
        typer.Option(
            "--align-rounds",
            min=0,
            max=LARGEST_STACK,
            help="With --align: rounds, at most, in which each network is aligned to the mean of the others.",
        ),
    ] = 0
    connector_out: Annotated[
        Path | None,
        typer.Option(
            "--connector-out",
            help="Checkpoints to write the trained vertices to, as in 'c-{vertex}.st': ab, abc and so on, by the "
            "letters of the networks; 1, 2 and so on for centres.",
        ),
    ] = None


def check_options(context: typer.Context) -> None:
    """Check that options of `path` go with its kind.

    Raises:
        BadParameter: naming one that does not.
    """
    if context.params["kind"] == Kind.CONNECTOR:
        for name in OF_PATHS:
            if given(context, name):
                raise typer.BadParameter(f"{flag(name)} does not go with --kind connector: leave it out")
        if given(context, "align_rounds") and context.params["align"] is None:
            raise typer.BadParameter("--align-rounds is for --align: name a method, or leave it out")
        return
    for name in (*OF_CONNECTOR, "connector_out"):
        trains = name == "train_on"
        if given(context, name) and not (trains and context.params["optimize_midpoint"]):
            also = " or --optimize-midpoint" if trains else ""
            raise typer.BadParameter(f"{flag(name)} is for --kind connector{also}: leave it out")


def vertex_paths(
    template: Path | None,
    complex_: SimplicialComplex,
    networks: Sequence[Path],
    outputs: Sequence[Path | None],
    *,
    force: bool,
) -> dict[str, Path]:
    """Return where each trained vertex goes, by its name, checking that it may.

    Args:
        template: `--connector-out`, in which {vertex} stands for the name.
        complex_: the connector.
        networks: the files read.
        outputs: further outputs of the command.
        force: whether existing files may be replaced.

    Raises:
        BadParameter: if the template has a field that is not known.
        CheckpointError: if two would go to one file, or a file stands in the way.
        ResultError: if one would be another output.
    """
    from landscape_cli.io.checkpoint import check_checkpoint_name

    if template is None:
        return {}
    check_fields(template, [FIELD])
    names = [complex_.vertices[k].name for k in complex_.trained]
    if len(names) > 1 and FIELD not in str(template):
        raise CheckpointError(
            f"several vertices would be written to {template}: tell them apart by {FIELD} in --connector-out, which "
            "stands for their names"
        )
    paths = {name: Path(str(template).replace(FIELD, name)) for name in names}
    read = {resolved(path) for path in networks}
    for path in paths.values():
        check_checkpoint_name(path)
        check_output(path, force=force, error=CheckpointError)
        check_distinct(path, *outputs)
        if resolved(path) in read:
            raise CheckpointError(f"{path} is one of the networks themselves: name the vertices otherwise")
    return paths
