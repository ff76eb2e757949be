"""What `landscape path --kind connector` writes, shows and draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landscape_cli.cli.console import emit, in_options, say
from landscape_cli.cli.drawing import drawn_last
from landscape_cli.cli.tables import print_table
from landscape_cli.errors import TrainingError
from landscape_cli.io.results import Result

if TYPE_CHECKING:
    from landscape_cli.cli.options import PictureOptions
    from landscape_cli.measures.connector_result import ConnectorResult

SETS = {"connector": "connector", "before": "before training", "simplex": "networks' simplex"}


@dataclass(frozen=True)
class Report:
    """Where the result goes.

    Attributes:
        provenance: of the result.
        options: the files, the form of standard output, and whether existing files may be replaced.
        quiet: whether to leave out remarks.
    """

    provenance: Mapping[str, Any]
    options: PictureOptions
    quiet: bool

    def write(self, measured: ConnectorResult, files: Mapping[str, Path]) -> None:
        """Write what was measured, and draw it if that is asked for.

        Args:
            measured: the connector.
            files: those of the trained vertices that were written, by name.

        Raises:
            TrainingError: once all is written, if a vertex is missing.
        """
        options = self.options
        body = measured.to_dict()
        for vertex in body["vertices"]:
            if "failure" in vertex:
                vertex["failure"] = in_options(vertex["failure"])
            elif vertex["trained"] and vertex["name"] in files:
                vertex["path"] = str(files[vertex["name"]])
        result = Result(body, measured.rows, self.provenance)
        show = lambda result: _show(result, body)  # noqa: E731
        points = measured.rows if options.plot is not None else ()
        with drawn_last(options.plot, result, force=options.force, quiet=self.quiet, points=points):
            emit(result, options, quiet=self.quiet, show=show)
            self._say_highest(measured, body)

    def _say_highest(self, measured: ConnectorResult, body: Mapping[str, Any]) -> None:
        """Say what the connector comes to.

        Raises:
            TrainingError: if a vertex is missing.
        """
        missing = measured.missing
        if missing:
            count = len(measured.complex.trained)
            raise TrainingError(
                f"{len(missing)} of {count} vertices are missing, and with them their facets: lower --lr"
            )
        split = next(iter(measured.after.error))
        highest = {name: body[name][split]["max"] for name in SETS}
        if None not in highest.values():
            say(
                f"connector: {split} {measured.after.quantity.name} at most {highest['connector']:.4g}, before "
                f"training {highest['before']:.4g}, on the networks' simplex {highest['simplex']:.4g}",
                quiet=self.quiet,
            )


def _show(result: Result, body: Mapping[str, Any]) -> None:
    """Print the vertices as a table, and the figures of the connector and of what it is compared with as another."""
    vertices = [
        {
            "vertex": vertex["name"],
            "of": " ".join(Path(body["networks"][k]).name for k in vertex["of"]),
            "epochs": vertex["epochs"] if vertex["trained"] else None,
        }
        | {key: value for key, value in vertex.items() if key.endswith(("_error", "_loss"))}
        for vertex in body["vertices"]
    ]
    print_table(replace(result, rows=vertices))
    rows = []
    quantity = body.get("quantity", "error")
    for key, name in SETS.items():
        splits = {
            f"{split} {quantity}": values for split, values in body[key].items() if split not in {"points", "loss"}
        }
        splits |= {f"{split} loss": values for split, values in body[key].get("loss", {}).items()}
        rows += [{"set": name, "points": body[key]["points"], "of": of} | values for of, values in splits.items()]
    print_table(replace(result, rows=rows))
