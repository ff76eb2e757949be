"""What `landscape normalize` reports: a row for each network, and remarks on what could not be normalised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from landscape_cli.errors import listed
from landscape_cli.normalization.normalize import Normalization
from landscape_cli.symmetry import Symmetry


def normalization_row(path: Path, output: Path, normalization: Normalization) -> dict[str, Any]:
    """Return the row of one network."""
    row = {
        "network": str(path),
        "output": str(output),
        "output_factor": normalization.output_factor,
        "degenerate_units": sum(map(len, normalization.degenerate.values())),
    }
    return row if normalization.proof is None else row | normalization.proof.columns()


def normalization_remarks(path: Path, symmetry: Symmetry, normalization: Normalization) -> list[str]:
    """Return what the user should be told of one network: that it has no scale, or which of its units."""
    remarks = []
    if symmetry.is_binary:
        remarks.append(f"{path} is binary: there is no scale to remove; its latent weights become their signs")
    elif not symmetry.scales and not symmetry.output:
        remarks.append(f"{path}: its model has no scale to remove: all is left as it is")
    if normalization.unsettled:
        remarks.append(
            f"warning: {path}: the scales of {', '.join(normalization.unsettled)} share their tensors so that no one "
            "form was found: they are not removed"
        )
    for group, units in normalization.degenerate.items():
        remarks.append(f"{path}: {group} has units without incoming weights or gain: {listed(units, most=10)}")
    return remarks
