"""What `landscape align` reports: of each network its proof, of each group what was permuted; and the permutations."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landscape_cli.cli.tables import print_table
from landscape_cli.errors import ResultError
from landscape_cli.io.atomic import write_atomic
from landscape_cli.io.checkpoint import Checkpoint
from landscape_cli.io.results import Result
from landscape_cli.symmetry import Symmetry

if TYPE_CHECKING:
    from landscape_cli.alignment.align import Alignment

HEADINGS = {"relabelled": "permuted"}


def alignment_result(
    reference: Checkpoint,
    networks: Sequence[Checkpoint],
    outputs: Sequence[Path | None],
    alignments: Sequence[Alignment],
    symmetry: Symmetry,
    provenance: Mapping[str, Any],
    more: Mapping[str, Any],
) -> Result:
    """Return the result of aligning networks to a reference, with a row for each group of each network.

    `more` is what else there is to say of all together: of their mean, of the rounds that matched them.
    """
    proofs = [
        {
            "network": network.path,
            "output": None if out is None else str(out),
            **({} if alignment.proof is None else alignment.proof.columns()),
            **({} if alignment.learned is None else {"learned": alignment.learned.to_dict()}),
        }
        for network, out, alignment in zip(networks, outputs, alignments, strict=True)
    ]
    rows = [
        row
        for network, alignment in zip(networks, alignments, strict=True)
        for row in group_rows(network, alignment, symmetry)
    ]
    body = {"reference": reference.path, "networks": proofs, "groups": rows, **more}
    return Result(body, rows, provenance)


def joined(results: Sequence[tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]], whole: Result) -> Result:
    """Return a result with the networks and groups of all parts of it, given their bodies and rows."""
    bodies, rows = zip(*results, strict=True)
    lists = {key: [each for body in bodies for each in body[key]] for key in ("networks", "groups")}
    return replace(whole, body={**whole.body, **lists}, rows=[row for some in rows for row in some])


def group_rows(network: Checkpoint, alignment: Alignment, symmetry: Symmetry) -> list[dict[str, Any]]:
    """Return a row for each group: how many units were permuted and flipped, how alike they are before and after.

    Flips are of the sign group of the same name: the units' own.
    """
    return [
        {
            "network": network.path,
            "group": name,
            "units": units,
            "relabelled": sum(i != j for i, j in enumerate(alignment.permutations[name].tolist())),
            "flipped": int((alignment.signs[name] < 0).sum()) if name in alignment.signs else None,
            "similarity_before": alignment.similarity_before.get(name),
            "similarity": alignment.similarity.get(name),
        }
        for name, units in (
            *((group.name, group.size) for group in symmetry.modules),
            *((group.name, group.units) for group in symmetry.permutations),
        )
    ]


def alignment_remarks(networks: Sequence[Checkpoint], symmetry: Symmetry) -> list[str]:
    """Return what the user should be told of networks: that there is nothing in them to permute or flip."""
    if symmetry.permutations or symmetry.signs or symmetry.modules:
        return []
    return [f"{network.path}: its model has nothing to permute: all is left as it is" for network in networks]


def show(result: Result) -> None:
    """Print the rows as a table, headed by the word of the field: the key of results is older."""
    rows = [{HEADINGS.get(key, key): value for key, value in row.items()} for row in result.rows]
    print_table(replace(result, rows=rows))


def permutation_records(networks: Sequence[Checkpoint], alignments: Sequence[Alignment]) -> list[dict[str, Any]]:
    """Return the permutations and signs of networks as JSON values."""
    records = []
    for network, alignment in zip(networks, alignments, strict=True):
        values = alignment.to_dict()
        records.append({"network": network.path, "groups": values["permutations"], "signs": values["signs"]})
    return records


def write_permutations(
    path: Path,
    reference: Checkpoint,
    records: Sequence[Mapping[str, Any]],
    provenance: Mapping[str, Any],
    *,
    force: bool,
) -> None:
    """Write the permutations and signs of networks, as `permutation_records` returns them.

    Raises:
        ResultError: if the file cannot be written.
    """
    content = {"reference": reference.path, "networks": list(records), "provenance": provenance}
    write_atomic(path, f"{json.dumps(content)}\n".encode(), force=force, error=ResultError)
