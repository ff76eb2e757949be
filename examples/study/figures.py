"""The figures of one study; needs matplotlib."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from study.claims import ROWS, column, of_sampler, to_end, words
from study.page import Series, captions
from study.readings import MIXED, PAIRS, Curve, Pair, Study, of_pair

COLOURS = {
    "rsgd": "#0072B2",
    "sgd": "#009E73",
    "adv": "#D55E00",
    "sgd-small": "#E69F00",
    "sgd-old": "#666666",
    "sgd-centre": "#56B4E9",
}
"""Okabe and Ito's, which those who are colour-blind tell apart."""
OUTLINE = (withStroke(linewidth=2, foreground="black"),)
PANELS = 3
"""In a row of the figure of a series."""
PAIR_COLOURS = dict(zip(PAIRS, ("#000000", "#0072B2", "#009E73", "#E69F00", "#CC79A7", "#D55E00"), strict=True))


def draw(study: Study, folder: Path) -> None:
    """Write every figure of a study that something was measured for."""
    for name in captions(study):
        figure = {"energy": energy, "profiles": profiles, "planes": planes, "distances": distances}[name](study)
        figure.savefig(folder / f"{study.name}-{name}.png", dpi=100)


def draw_series(series: Series, folder: Path) -> None:
    """Write the figure of studies that differ in size."""
    curves(series).savefig(folder / f"{series.name}.png", dpi=100)


def curves(series: Series) -> Figure:
    """Draw what is compared against size, a panel each."""
    figure, grid = panels(-(-len(series.lines) // PANELS), PANELS)
    places = [axes for row in grid for axes in row]
    for axes, (title, lines) in zip(places, series.lines.items(), strict=False):
        for sampler, columns in lines.items():
            there = [k for k, values in enumerate(columns) if values]
            sizes = [series.sizes[k] for k in there]
            band(axes, sizes, [columns[k] for k in there], sampler.upper(), COLOURS[sampler])
        axes.set_xscale("log")
        axes.set_xticks(series.sizes, list(map(str, series.sizes)), minor=False)
        axes.set_xticks([], minor=True)
        axes.set(xlabel="N", title=title)
        axes.set_ylim(bottom=0)
    for axes in places[len(series.lines) :]:
        axes.set_visible(False)
    places[0].legend()
    return figure


def energy(study: Study) -> Figure:
    """Draw local energies with bands; beside them each network's test error against its energy at the largest noise."""
    figure, (axes,) = panels(1, 2)
    levels = sorted(study.energies)
    for sampler in ROWS:
        columns = [list(of_sampler(study.energies[level], sampler).values()) for level in levels]
        if all(columns):
            band(axes[0], levels, columns, sampler.upper(), COLOURS[sampler])
        last = of_sampler(study.energies[levels[-1]], sampler)
        errors = [study.errors["test"][key] for key in last]
        axes[1].plot(list(last.values()), errors, "o", label=sampler.upper(), color=COLOURS[sampler])
    axes[0].set(xlabel=f"{study.form.symbol}, {study.form.noise}", ylabel="local energy δE", title=study.name)
    axes[1].set(xlabel=f"δE({levels[-1]:g})", ylabel="test error", title="each network")
    axes[0].legend()
    return figure


def profiles(study: Study) -> Figure:
    """Draw the mean error along each kind of path; below, with optimised midpoints, where there are any."""
    kinds = study.form.kinds
    shown = [
        (curves, prefix) for curves, prefix in ((study.curves, ""), (study.bent, "optimised: ")) if any(curves.values())
    ]
    figure, grid = panels(len(shown), len(kinds))
    for row, (curves, prefix) in enumerate(shown):
        for axes, (kind, title) in zip(grid[row], kinds.items(), strict=True):
            axes.set_visible(bool(curves[kind]))
            highest = max((max(curve.train) for curve in curves[kind].values()), default=0.0)
            for pair in PAIRS:
                own = list(of_pair(curves[kind], pair).values())
                if own:
                    columns = list(zip(*(both_ways(pair, curve) for curve in own), strict=True))
                    band(axes, own[0].taus, columns, words(pair), PAIR_COLOURS[pair])
            axes.set(xlabel="τ, from the flatter end", title=prefix + title, ylim=(0, 1.05 * highest or 1))
            axes.set_ylabel("training error")
    next(axes for axes in grid[0] if axes.get_visible()).legend(fontsize=7)
    return figure


def both_ways(pair: Pair, curve: Curve) -> tuple[float, ...]:
    """Return a profile; between networks of one sampler, where neither end is first, the mean of both directions."""
    if pair[0] != pair[1]:
        return curve.train
    return tuple((ahead + back) / 2 for ahead, back in zip(curve.train, reversed(curve.train), strict=True))


def planes(study: Study) -> Figure:
    """Draw the error in each plane: on the training set, and beside that on the test set where the form says so."""
    form = study.form
    shown = [(plane, form.titles.get(name, name), split) for name, plane in in_order(study) for split in form.splits]
    columns = form.columns_of_planes or max(1, len(shown))
    figure, grid = panels(-(-len(shown) // columns), columns)
    highest = {
        split: max((p[f"{split}_error"] or 0 for plane in study.planes.values() for p in plane["points"]), default=1)
        for split in form.splits
    }
    places = [axes for row in grid for axes in row]
    for axes, (plane, title, split) in zip(places, shown, strict=False):
        contours(figure, axes, plane, split, highest[split])
        axes.set(title=title if len(form.splits) == 1 else f"{title}, {split}", aspect="equal")
    for axes in places[len(shown) :]:
        axes.set_visible(False)
    return figure


def in_order(study: Study) -> list[tuple[str, dict[str, Any]]]:
    """Return planes in the order of their titles, and others after them."""
    known = [name for name in study.form.titles if name in study.planes]
    return [(name, study.planes[name]) for name in [*known, *sorted(set(study.planes) - set(known))]]


def contours(figure: Figure, axes: Any, plane: dict[str, Any], split: str, highest: float) -> None:
    """Draw the error on one set in one plane, and where its networks are."""
    xs, ys, key = plane["x"], plane["y"], f"{split}_error"
    values = [float("nan") if point[key] is None else point[key] for point in plane["points"]]
    field = [values[k * len(xs) : (k + 1) * len(xs)] for k in range(len(ys))]
    filled = axes.contourf(xs, ys, field, levels=[highest * k / 20 for k in range(21)], cmap="viridis")
    ticks = MaxNLocator(6)
    figure.colorbar(filled, ax=axes, label="training error" if split == "train" else "test error", ticks=ticks)
    for corner in plane["networks"]:
        label = Path(corner["network"]).stem.replace("_", " ")
        axes.plot(corner["x"], corner["y"], "o", color="white", markeredgecolor="black")
        left = corner["x"] > (plane["x"][0] + plane["x"][-1]) / 2  # of the point is where the label has room
        place = {"xytext": (-4 if left else 4, 4), "ha": "right" if left else "left", "path_effects": OUTLINE}
        axes.annotate(label, (corner["x"], corner["y"]), textcoords="offset points", color="white", fontsize=8, **place)
    axes.set(xlabel="distance", ylabel="distance")


def distances(study: Study) -> Figure:
    """Draw each pair's distance, and each midpoint's to the two ends."""
    figure, (row,) = panels(1, 2)
    form = study.form
    for place, pair in enumerate(PAIRS):
        dots(row[0], place, list(column(of_pair(study.distances, pair), form.metric).values()), PAIR_COLOURS[pair])
    row[0].set_xticks(range(len(PAIRS)), [words(pair) for pair in PAIRS], rotation=30)
    row[0].set(ylabel=f"{form.measure} distance", title="between solutions")
    ticks = []
    for pair in MIXED:
        own = of_pair(study.bent[form.bent], pair).values()
        for sampler, end in zip(pair, ("start", "end"), strict=True):
            dots(row[1], len(ticks), [to_end(curve, end, form.metric) for curve in own], COLOURS[sampler])
            ticks.append(f"{words(pair)}\nto {sampler.upper()}")
    row[1].set_xticks(range(len(ticks)), ticks, rotation=30, fontsize=7)
    row[1].set(ylabel=f"{form.measure} distance", title="from optimised midpoints to the ends")
    return figure


def dots(axes: Any, place: int, values: list[float], colour: str) -> None:
    """Draw values above a place, with mean and deviation beside them."""
    axes.plot([place] * len(values), values, ".", color=colour, alpha=0.6)
    if values:
        axes.errorbar([place + 0.2], [fmean(values)], [deviation(values)], fmt="_", color=colour, capsize=3)


def band(axes: Any, xs: Any, columns: Any, label: str, colour: str) -> None:
    """Draw means of columns of values, and their deviations as a band."""
    means = [fmean(column) for column in columns]
    spreads = [deviation(column) for column in columns]
    axes.plot(xs, means, ".-", label=label, color=colour)
    low = [mean - spread for mean, spread in zip(means, spreads, strict=True)]
    high = [mean + spread for mean, spread in zip(means, spreads, strict=True)]
    axes.fill_between(xs, low, high, color=colour, alpha=0.2, linewidth=0)


def deviation(values: Any) -> float:
    """Return the sample's deviation, of a single value 0."""
    return stdev(values) if len(values) > 1 else 0.0


def panels(rows: int, columns: int) -> tuple[Figure, Any]:
    """Return a figure and its panels, by row and column."""
    figure = Figure(figsize=(4.6 * columns + 0.6, 3.6 * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)
