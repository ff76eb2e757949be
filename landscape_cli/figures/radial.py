"""The picture of radial profiles: errors and losses of each network as all its units turn, and its angular width."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landscape_cli.figures.curve import draw_curve
from landscape_cli.figures.figure import new_grid, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLES = ("-", "--", "-.", ":")
MARKERS = (".", "^", "s", "v", "D")
LEGEND_COLUMNS = 3
WIDTHS = {"train": "width", "test": "test_width"}
"""What results call the angular width on a split."""


def plot_radial(path: Path, networks: Sequence[Mapping[str, Any]], *, force: bool) -> None:
    """Draw all that was measured of each network against the angle, and against the factor of all weights.

    Args:
        path: the picture.
        networks: as `RadialProfiles.to_dict` returns them, and `network`, the name of each.
        force: whether an existing file may be replaced.

    Raises:
        ResultError: if it cannot be written.
    """
    save(radial_figure(networks), path, force=force)


def radial_figure(networks: Sequence[Mapping[str, Any]]) -> Figure:
    """Return the figure: a row of panels for angles, one for factors, in each a panel for each error and loss.

    A color for each network, and a line style and marker for each direction, with a band of one standard error on
    either side. A thin line down from where the error has grown so much is where the angular width is taken. Profiles
    without any number are left out.
    """
    profiles = [profile for network in networks for profile in network["profiles"]]
    kinds = [kind for kind in ("angles", "factors") if any(kind in profile for profile in profiles)]
    measured = list(dict.fromkeys(key for profile in profiles for key, value in profile.items() if _is_measured(value)))
    directions = list(dict.fromkeys(profile["direction"] for profile in profiles))
    styles = {
        direction: {"linestyle": STYLES[k % len(STYLES)], "marker": MARKERS[k % len(MARKERS)], "markersize": 4}
        for k, direction in enumerate(directions)
    }
    figure, rows = new_grid(len(kinds), len(measured))
    legend: dict[str, Any] = {}
    for kind, row in zip(kinds, rows, strict=True):
        for axes, name in zip(row, measured, strict=True):
            highest = 0.0
            for k, network in enumerate(networks):
                for profile in (profile for profile in network["profiles"] if kind in profile):
                    style = {"color": f"C{k}"} | styles[profile["direction"]]
                    highest = max(highest, _draw(axes, kind, network, profile, name, style))
            _finish(axes, kind, name, networks, highest)
            lines, labels = axes.get_legend_handles_labels()
            legend |= dict(zip(labels, lines, strict=True))
    if legend:
        columns = min(LEGEND_COLUMNS * len(measured), len(legend))
        figure.legend(legend.values(), legend.keys(), loc="outside lower center", ncols=columns)
    return figure


def _is_measured(value: object) -> bool:
    return isinstance(value, Mapping)


def _draw(
    axes: Any, kind: str, network: Mapping[str, Any], profile: Mapping[str, Any], name: str, style: Mapping[str, Any]
) -> float:
    """Draw one profile, from the network itself where it turns; return the highest number drawn, or 0."""
    strengths, means = list(profile[kind]), list(map(_number, profile[name]["mean"]))
    if all(map(math.isnan, means)):
        return 0.0
    errors = [0.0 if error is None else error for error in profile[name]["standard_error"]]
    start = network[name if name.endswith("_loss") else f"{name}_{network.get('quantity', 'error')}"]
    if kind == "angles":
        strengths, means, errors = [0.0, *strengths], [_number(start), *means], [0.0, *errors]
    highest = draw_curve(axes, strengths, means, errors, f"{network['network']} ({profile['direction']})", **style)
    width = network.get(WIDTHS.get(name, ""))
    if profile["direction"] == "random" and width is not None and width["angle"] is not None:
        label = f"angular width at a growth of {width['growth']:g}"
        ends = [0, start + width["growth"]]
        axes.plot([width["angle"]] * 2, ends, color=style["color"], linewidth=1, marker="_", label=label)
    return highest


def _finish(axes: Any, kind: str, name: str, networks: Sequence[Mapping[str, Any]], highest: float) -> None:
    """Label a panel, its axis at the factors that were measured."""
    profiles = [profile for network in networks for profile in network["profiles"]]
    label = name.replace("_", " ") if name.endswith("_loss") else f"{name} {networks[0].get('quantity', 'error')}"
    axes.set(ylabel=label, ylim=(0, 1.1 * highest or 1))
    if kind == "angles":
        axes.set(xlabel="angle of every unit (degrees)", xlim=(0, None))
        return
    factors = sorted({factor for profile in profiles for factor in profile.get("factors", ())})
    axes.set(xlabel="factor of all weights", xscale="log")
    axes.set_xticks(factors, [f"{factor:g}" for factor in factors])
    axes.set_xticks([], minor=True)


def _number(value: float | None) -> float:
    return math.nan if value is None else value
