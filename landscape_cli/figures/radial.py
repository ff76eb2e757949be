"""The picture of radial profiles: the error of each network as all its units turn, and its angular width."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from landscape_cli.figures.curve import draw_curve
from landscape_cli.figures.figure import new_figure, save


def plot_radial(path: Path, networks: Sequence[Mapping[str, Any]], *, force: bool) -> None:
    """Draw the training error of each network against the angle, and against the factor of all weights.

    A band of one standard error on either side, and a dashed line down from where the error has grown so much that the
    angular width is taken.

    Args:
        path: the picture.
        networks: as `RadialProfiles.to_dict` returns them, and `network`, the name of each.
        force: whether an existing file may be replaced.

    Raises:
        ResultError: if it cannot be written.
    """
    kinds = [
        kind
        for kind in ("angles", "factors")
        if any(kind in profile for network in networks for profile in network["profiles"])
    ]
    figure, panels = new_figure(len(kinds))
    for axes, kind in zip(panels, kinds, strict=True):
        highest = 0.0
        for network in networks:
            for profile in (profile for profile in network["profiles"] if kind in profile):
                highest = max(highest, _draw(axes, kind, network, profile))
        axes.set(ylabel="train error", ylim=(0, 1.1 * highest or 1))
        if kind == "angles":
            axes.set(xlabel="angle of every unit (degrees)", xlim=(0, None))
        else:
            axes.set(xlabel="factor of all weights", xscale="log")
        axes.legend()
    save(figure, path, force=force)


def _draw(axes: Any, kind: str, network: Mapping[str, Any], profile: Mapping[str, Any]) -> float:
    """Draw one profile, from the network itself where it turns; return the highest number drawn."""
    strengths, means = list(profile[kind]), list(map(_number, profile["train"]["mean"]))
    errors = [0.0 if error is None else error for error in profile["train"]["standard_error"]]
    if kind == "angles":
        strengths, means, errors = [0.0, *strengths], [_number(network["train_error"]), *means], [0.0, *errors]
    highest = draw_curve(axes, strengths, means, errors, f"{network['network']} ({profile['direction']})")
    width = network.get("width")
    if profile["direction"] == "random" and width is not None and width["angle"] is not None:
        color = axes.lines[-1].get_color()
        level = network["train_error"] + width["growth"]
        axes.plot([width["angle"], width["angle"]], [0, level], "--", color=color, linewidth=1)
    return highest


def _number(value: float | None) -> float:
    return math.nan if value is None else value
