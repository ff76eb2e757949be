"""What `landscape flatness` shows of radial profiles: the angular width of each network, then the profiles."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from landscape_cli.cli.reports.families import shown_spread
from landscape_cli.cli.tables import print_table
from landscape_cli.io.results import Result


def show_profiles(result: Result, *, networks: Sequence[Mapping[str, Any]]) -> None:
    """Print the widths of the networks, if random directions were measured, and means ± standard errors on profiles.

    Args:
        result: what was measured.
        networks: its entry for each network.
    """
    widths = [
        {
            "network": network["network"],
            "split": split,
            "growth": width["growth"],
            "angular width": width["angle"],
            "standard error": width["standard_error"],
            "reached": f"{width['reached']} of {width['directions']}",
        }
        for network in networks
        for split, width in (("train", network.get("width")), ("test", network.get("test_width")))
        if width is not None
    ]
    if widths:
        print_table(replace(result, rows=widths))
    rows = [
        {"network": network["network"], "direction": profile["direction"]} | row
        for network in networks
        for profile in network["profiles"]
        for row in _moved(profile, network.get("quantity", "error"))
    ]
    print_table(replace(result, rows=rows), keys=("moved",))


def _moved(profile: Mapping[str, Any], quantity: str) -> list[dict[str, str]]:
    """Return a row for each angle or factor: means and their standard errors."""
    turns = "angles" in profile
    splits = [key for key, value in profile.items() if isinstance(value, Mapping)]
    rows = []
    for k, strength in enumerate(profile["angles" if turns else "factors"]):
        row = {"moved": f"{strength:g}°" if turns else f"× {strength:g}"}
        for split in splits:
            mean, deviation = (profile[split][key][k] for key in ("mean", "standard_error"))
            spread = {"mean": mean, "deviation": deviation}
            name = split.replace("_", " ") if split.endswith("_loss") else f"{split} {quantity}"
            row[name] = shown_spread({key: math.nan if value is None else value for key, value in spread.items()})
        rows.append(row)
    return rows
