"""What `landscape flatness` shows of radial profiles: the angular width of each network, then the profiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from landscape_cli.cli.console import print_table
from landscape_cli.io.results import Result


def show_profiles(result: Result, *, networks: Sequence[Mapping[str, Any]]) -> None:
    """Print the widths of the networks, if random directions were measured, and the rows of the result without them.

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
    rows = [{key: value for key, value in row.items() if "width" not in key} for row in result.rows]
    print_table(replace(result, rows=rows))
