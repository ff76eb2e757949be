"""A plane as a surface: static, with its contours below, or as a page in which it is turned."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landscape_cli.errors import ResultError, escaped
from landscape_cli.figures.figure import DEFAULT, NARROW, Look, finish, size_of, write_title
from landscape_cli.figures.plane import COLORS
from landscape_cli.figures.plane_data import (
    OTHERS,
    OUTSIDE,
    Field,
    axis_label,
    fields_of,
    names_of,
    outside,
    plane_name,
)
from landscape_cli.figures.style import short_labels
from landscape_cli.io.atomic import write_atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE = ".html"
BELOW = 0.35
"""How far below the surface its contours lie, in parts of its height."""


def surface_figure(plane: Mapping[str, Any], *, look: Look = DEFAULT) -> Figure:
    """Draw the training error in a plane as a surface, its contours below and the networks on it.

    Args:
        plane: the result, as `PlaneResult.to_dict` gives it.
        look: title, labels of the networks, limits of the height, and the size.
    """
    from matplotlib.figure import Figure
    from matplotlib.patheffects import withStroke
    from mpl_toolkits.mplot3d import Axes3D  # noqa: F401 - matplotlib knows the projection by it

    field = fields_of(plane)[0][0]
    width = look.width or 5.2
    figure = Figure(figsize=(width, 0.8 * width), layout="constrained")
    axes: Any = figure.add_subplot(projection="3d", computed_zorder=False)
    xs, ys = plane["x"], plane["y"]
    low, high = look.ylim or _limits(field)
    heights = [
        [min(max(value, low), high) if math.isfinite(value) else math.nan for value in row] for row in field.values
    ]
    floor = low - BELOW * (high - low)
    if field.known:
        grid = [list(xs) for _ in ys], [[y for _ in xs] for y in ys]
        import numpy as np

        x, y, z = np.array(grid[0]), np.array(grid[1]), np.array(heights)
        axes.contourf(x, y, np.ma.masked_invalid(z), levels=10, zdir="z", offset=floor, cmap=COLORS, zorder=0)
        surface = axes.plot_surface(x, y, z, cmap=COLORS, rcount=len(ys), ccount=len(xs), linewidth=0.15)
        surface.set(edgecolor="0.3", zorder=1)
        bar = figure.colorbar(surface, ax=axes, shrink=0.6, pad=0.08, format="%.3g")
        bar.set_label(f"{field.split} {field.quantity}", fontsize=size_of(figure))
        bar.ax.tick_params(labelsize=size_of(figure) - 1)
    beyond = outside(plane)
    away = [id(network) for network, *_ in beyond]
    effects = [withStroke(linewidth=2, foreground="white")]
    for network, *near in beyond:
        place = (*near, min(max(_height(network, field) or low, low), high))
        axes.plot(*([value] for value in place), "o", color="none", markeredgecolor="black", zorder=3)
        axes.text(*place, f"  {_name(network)}", fontsize=size_of(figure), zorder=4, path_effects=effects)
    for corner, label in zip(plane["networks"], names_of(plane, look)[0], strict=True):
        height = _height(corner, field)
        if height is not None and id(corner) not in away:
            place = (corner["x"], corner["y"], min(height, high))
            axes.plot(*([value] for value in place), "o", color="white", markeredgecolor="black", zorder=3)
            axes.text(*place, f"  {label}", fontsize=size_of(figure), zorder=4, path_effects=effects)
    for kind, _, style in OTHERS:
        shown = [network for network in plane.get(kind, ()) if id(network) not in away]
        networks = [network for network in shown if _height(network, field) is not None]
        places = [(network["x"], network["y"], min(_height(network, field) or 0.0, high)) for network in networks]
        if places:
            axes.plot(*zip(*places, strict=True), color="white", markeredgecolor="black", zorder=3, **style)
    axes.set(zlim=(floor, high), xlabel="x", ylabel="y")
    axes.locator_params(axis="both", nbins=4 if width < NARROW else 6)
    axes.set_zticks([tick for tick in axes.get_zticks() if low <= tick <= high])
    axes.set_box_aspect(None, zoom=0.88)
    units = "x, y: Euclidean distances"
    if "directions" in plane:
        units = ", ".join(axis_label(plane, axis) for axis in (0, 1))
    about = f"{field.split} {field.quantity} above the plane ({units}), contours below"
    about += f"; empty circles: {OUTSIDE}" if beyond else ""
    write_title(figure, look, about)
    return finish(figure)


def _limits(field: Field) -> tuple[float, float]:
    low, high = min((0.0, *field.known)), max((0.0, *field.known))
    return low, high if high > low else low + 1.0


def _name(network: Mapping[str, Any]) -> str:
    return short_labels([network.get("network", "")])[0]


def _height(corner: Mapping[str, Any], field: Field) -> float | None:
    height = corner.get(f"{field.split}_{field.quantity}")
    return None if height is None or not math.isfinite(height) else height


def check_page(path: Path) -> None:
    """Check that a page can be made.

    Raises:
        ResultError: if plotly is missing.
    """
    if path.suffix == PAGE:
        try:
            import plotly  # noqa: F401 - is it there?
        except ImportError:
            raise ResultError("interactive pages need plotly: pip install 'landscape-cli[interactive]'") from None


def surface_page(plane: Mapping[str, Any], *, look: Look = DEFAULT) -> str:
    """Return a page with the surface of everything measured in a plane, which needs no network to be viewed.

    A menu chooses what is the height. The networks lie on the surface. The same result gives the same page.

    Args:
        plane: the result, as `PlaneResult.to_dict` gives it.
        look: title, and labels of the networks.
    """
    import plotly.graph_objects as go

    fields = [field for row in fields_of(plane) for field in row]
    labels = [_plain(label) for label in names_of(plane, look)[0]]
    beyond = outside(plane)
    away = [id(network) for network, *_ in beyond]
    inside = [k for k, corner in enumerate(plane["networks"]) if id(corner) not in away]
    corners: Sequence[Mapping[str, Any]] = [plane["networks"][k] for k in inside]
    names = [labels[k] for k in inside]
    figure = go.Figure()
    for field in fields:
        shown = field is fields[0]
        name = f"{field.split} {field.quantity}"
        values = [[value if math.isfinite(value) else None for value in row] for row in field.values]
        contours = {"z": {"show": True, "usecolormap": True, "project": {"z": True}}}
        hover = f"x %{{x:.4g}}<br>y %{{y:.4g}}<br>{name} %{{z:.4g}}<extra></extra>"
        style = {"colorscale": COLORS, "colorbar": {"title": {"text": name}}, "contours": contours}
        figure.add_trace(go.Surface(x=plane["x"], y=plane["y"], z=values, visible=shown, hovertemplate=hover, **style))
        figure.add_trace(
            go.Scatter3d(
                x=[corner["x"] for corner in corners],
                y=[corner["y"] for corner in corners],
                z=[_height(corner, field) for corner in corners],
                text=names,
                mode="markers+text",
                marker={"color": "white", "size": 5, "line": {"color": "black", "width": 2}},
                textposition="top center",
                visible=shown,
                showlegend=False,
                hoverinfo="text",
            )
        )
        for kind, words, drawn in OTHERS:
            networks = [network for network in plane.get(kind, ()) if id(network) not in away]
            figure.add_trace(
                go.Scatter3d(
                    x=[network["x"] for network in networks],
                    y=[network["y"] for network in networks],
                    z=[_height(network, field) for network in networks],
                    text=[_plain(_name(network)) for network in networks],
                    name=words,
                    mode="markers" if drawn["linestyle"] == "none" else "lines+markers",
                    marker={"color": "white", "size": 3, "line": {"color": "black", "width": 1}},
                    line={"color": "black"},
                    visible=shown,
                    showlegend=bool(networks),
                )
            )
        figure.add_trace(
            go.Scatter3d(
                x=[x for _, x, _ in beyond],
                y=[y for _, _, y in beyond],
                z=[_height(network, field) for network, *_ in beyond],
                text=[_plain(_name(network)) for network, *_ in beyond],
                name=OUTSIDE,
                mode="markers+text",
                marker={"color": "black", "size": 5, "symbol": "circle-open"},
                visible=shown,
                showlegend=bool(beyond),
            )
        )
    traces = 3 + len(OTHERS)
    buttons = [
        {
            "label": f"{field.split} {field.quantity}",
            "method": "restyle",
            "args": [{"visible": [k // traces == number for k in range(traces * len(fields))]}],
        }
        for number, field in enumerate(fields)
    ]
    title = _plain(plane_name(plane, names_of(plane, look)[0]) if look.title is None else look.title)
    axes = {
        "xaxis": {"title": {"text": _plain(axis_label(plane, 0))}},
        "yaxis": {"title": {"text": _plain(axis_label(plane, 1))}},
    }
    height = {"zaxis": {"title": {"text": "height"}} | ({} if look.ylim is None else {"range": list(look.ylim)})}
    figure.update_layout(
        title={"text": title},
        scene=axes | height | {"camera": {"eye": {"x": 1.7, "y": 1.7, "z": 1.1}}},
        margin={"l": 0, "r": 0, "t": 60, "b": 0},
        updatemenus=[{"buttons": buttons}],
        template="none",
        legend={"orientation": "h"},
    )
    page: str = figure.to_html(
        include_plotlyjs=True, full_html=True, div_id="surface", default_height="92vh", config={"displaylogo": False}
    )
    return page


def _plain(text: str) -> str:
    """Return a text as a page shows it, no part of which is markup."""
    return escaped(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def write_page(page: str, path: Path, *, force: bool) -> None:
    """Write a page, whole or not at all.

    Raises:
        ResultError: if it cannot be written.
    """
    write_atomic(path, page.encode(), force=force, error=ResultError)
