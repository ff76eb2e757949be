"""The figure of radial profiles: errors and losses of networks as all their units turn, and the angular width."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from landscape_cli.figures.curve import as_number, draw_curve, set_scores
from landscape_cli.figures.figure import DEFAULT, Look, finish, new_figure, write_legend, write_title
from landscape_cli.figures.networks import lines_of
from landscape_cli.figures.style import LINES, short_labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTHS = {"train": "width", "test": "test_width"}
"""What results call the angular width on a split."""
MOST_NAMES = 12
"""Of more networks beside each other, the legend alone says which they are."""

Network = Mapping[str, Any]


def radial_figure(*results: Mapping[str, Any], look: Look = DEFAULT) -> Figure:
    """Draw all that was measured of networks: a row of panels for angles, one for factors, in each one for each score.

    A color for each network and a line for each direction, with a band of one standard error on either side. A thin
    line down from where the error has grown so much is where the angular width is taken. Profiles without any number
    are left out. Of several networks a last row of panels has the widths beside each other, with one standard error.

    Args:
        *results: of `flatness` of the kind radial, as files hold them; their networks are drawn together.
        look: title, labels of the networks, and the size.
    """
    networks = [network for result in results for network in result["networks"]]
    profiles = [profile for network in networks for profile in network["profiles"]]
    kinds = [kind for kind in ("angles", "factors") if any(kind in profile for profile in profiles)]
    measured = list(
        dict.fromkeys(key for each in profiles for key, value in each.items() if isinstance(value, Mapping))
    )
    directions = list(dict.fromkeys(profile["direction"] for profile in profiles))
    shown = dict(zip(directions, short_labels(directions), strict=True))
    lines = lines_of(look.label([network["network"] for network in networks]), Look(labels=look.labels))
    styles = {k: (line.label, line.style) for line in lines for k in line.members}
    wide = [name for name in measured if sum(_width(network, name) is not None for network in networks) > 1]
    figure, grid = new_figure(len(kinds) + bool(wide), len(measured), look)
    entries: dict[str, Any] = {}
    marks: dict[str, Any] = {}
    for kind, row in zip(kinds, grid, strict=False):
        for axes, name in zip(row, measured, strict=True):
            values: list[float] = []
            for k, network in enumerate(networks):
                for profile in (profile for profile in network["profiles"] if kind in profile):
                    label, style = styles[k]
                    if len(directions) > 1:
                        label = f"{label} ({shown[profile['direction']]})"
                        style = {**style, "linestyle": LINES[directions.index(profile["direction"]) % len(LINES)]}
                    values += _draw(axes, kind, network, profile, name, style, label, entries, marks)
            quantity = networks[0].get("quantity", "error")
            set_scores(axes, values, look, name.replace("_", " ") if name.endswith("_loss") else f"{name} {quantity}")
            _set_strengths(axes, kind, profiles)
    for axes, name in zip(grid[-1] if wide else (), measured, strict=False):
        if name in wide:
            _draw_widths(axes, networks, styles, name)
        else:
            axes.set_axis_off()
    write_legend(figure, entries | marks)
    write_title(figure, look, "band: one standard error over draws" if entries else "")
    return finish(figure)


def _draw(
    axes: Any,
    kind: str,
    network: Network,
    profile: Mapping[str, Any],
    name: str,
    style: Mapping[str, Any],
    label: str,
    entries: dict[str, Any],
    marks: dict[str, Any],
) -> list[float]:
    """Draw one profile, from the network itself where it turns; return every value drawn."""
    strengths, means = (
        [as_number(value) for value in profile[kind]],
        [as_number(value) for value in profile[name]["mean"]],
    )
    if all(map(math.isnan, means)):
        return []
    errors = [as_number(value) for value in profile[name]["standard_error"]]
    start = as_number(network.get(name if name.endswith("_loss") else f"{name}_{network.get('quantity', 'error')}"))
    if kind == "angles":
        strengths, means, errors = [0.0, *strengths], [start, *means], [0.0, *errors]
    line, values = draw_curve(axes, strengths, means, errors, style)
    entries.setdefault(label, line)
    width = _width(network, name)
    if profile["direction"] == "random" and width is not None:
        ends = [0, start + width["growth"]]
        [mark] = axes.plot([width["angle"]] * 2, ends, color=style["color"], linewidth=1, linestyle=":", marker="_")
        marks.setdefault(f"angular width (growth {width['growth']:g})", mark)
    return values


def _width(network: Network, name: str) -> Mapping[str, Any] | None:
    """Return the angular width of a network on a split, None where it has none."""
    width: Mapping[str, Any] | None = network.get(WIDTHS.get(name, ""))
    return None if width is None or width["angle"] is None else width


def _draw_widths(
    axes: Any, networks: Sequence[Network], styles: Mapping[int, tuple[str, Mapping[str, Any]]], name: str
) -> None:
    """Draw the angular widths of networks beside each other."""
    highest = 0.0
    for k, network in enumerate(networks):
        width = _width(network, name)
        if width is not None:
            style = styles[k][1]
            error = as_number(width.get("standard_error"))
            error = 0.0 if math.isnan(error) else error
            mark = {"color": style["color"], "marker": style["marker"], "linestyle": "none", "markersize": 4}
            axes.errorbar(k, width["angle"], error, capsize=2, elinewidth=0.8, **mark)
            highest = max(highest, width["angle"] + error)
    names = [styles[k][0] for k in range(len(networks))] if len(networks) <= MOST_NAMES else []
    axes.set_xticks(range(len(names)), names, rotation=90 if len(names) > 3 else 0)
    axes.set(ylabel=f"angular width, {name} (degrees)", xlim=(-0.5, len(networks) - 0.5), ylim=(0, 1.1 * highest))


def _set_strengths(axes: Any, kind: str, profiles: Sequence[Mapping[str, Any]]) -> None:
    """Set the axis of angles, or of the factors that were measured."""
    if kind == "angles":
        axes.set(xlabel="angle of every unit (degrees)", xlim=(0, None))
        return
    factors = sorted({factor for profile in profiles for factor in profile.get("factors", ())})
    axes.set(xlabel="factor of all weights", xscale="log")
    axes.set_xticks(factors, [f"{factor:g}" for factor in factors])
    axes.set_xticks([], minor=True)
