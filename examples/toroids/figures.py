"""The paper's figures of one study; needs matplotlib."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from findings import geodesics, of_sampler, to_end, words
from matplotlib.figure import Figure
from readings import KINDS, MIXED, PAIRS, SAMPLERS, Curve, Pair, Study, of_pair

COLOURS = {"rsgd": "tab:blue", "sgd": "tab:green", "adv": "tab:red"}
PAIR_COLOURS = dict(zip(PAIRS, ("black", "tab:blue", "tab:green", "tab:orange", "tab:brown", "tab:red"), strict=True))


def draw(study: Study, folder: Path) -> list[tuple[str, str]]:
    """Write every figure of a study; return file names and what each shows."""
    drawn = [
        (energy(study), "energy", "Local energy against the strength of the noise: mean and deviation over seeds."),
        (profiles(study), "profiles", "Training error along paths: mean over pairs, and deviation as a band."),
        (
            planes(study),
            "planes",
            "Training error in the plane of a flat solution and a sharp one, unaligned and aligned.",
        ),
        (
            distances(study),
            "distances",
            "Geodesic distances of normalised and aligned solutions, and of their midpoints.",
        ),
    ]
    written = []
    for figure, name, caption in drawn:
        file = folder / f"{study.name}-{name}.png"
        figure.savefig(file, dpi=100)
        written.append((file.name, caption))
    return written


def energy(study: Study) -> Figure:
    """Draw local energies with bands."""
    figure, (axes,) = panels(1, 1)
    sigmas = sorted(study.energies)
    for sampler in SAMPLERS:
        columns = [list(of_sampler(study.energies[sigma], sampler).values()) for sigma in sigmas]
        band(axes[0], sigmas, columns, sampler.upper(), COLOURS[sampler])
    axes[0].set(xlabel="σ", ylabel="local energy δE", title=study.name)
    axes[0].legend()
    return figure


def profiles(study: Study) -> Figure:
    """Draw the mean error along each kind of path; below, with optimised midpoints."""
    figure, grid = panels(2, len(KINDS))
    for row, (curves, prefix) in enumerate(((study.curves, ""), (study.bent, "optimised: "))):
        highest = max((max(curve.train) for kind in KINDS for curve in curves[kind].values()), default=0.0)
        for axes, (kind, title) in zip(grid[row], KINDS.items(), strict=True):
            axes.set_visible(bool(curves[kind]))
            for pair in PAIRS:
                own = list(of_pair(curves[kind], pair).values())
                if own:
                    columns = list(zip(*(both_ways(pair, curve) for curve in own), strict=True))
                    band(axes, own[0].taus, columns, words(pair), PAIR_COLOURS[pair])
            axes.set(xlabel="τ, from the flatter end", title=prefix + title, ylim=(0, 1.05 * highest or 1))
            axes.set_ylabel("training error")
    grid[0][0].legend(fontsize=7)
    return figure


def both_ways(pair: Pair, curve: Curve) -> tuple[float, ...]:
    """Return a profile; between networks of one sampler, where neither end is first, the mean of both directions."""
    if pair[0] != pair[1]:
        return curve.train
    return tuple((ahead + back) / 2 for ahead, back in zip(curve.train, reversed(curve.train), strict=True))


def planes(study: Study) -> Figure:
    """Draw the training error in each plane."""
    figure, (row,) = panels(1, max(1, len(study.planes)))
    highest = max(
        (point["train_error"] or 0 for plane in study.planes.values() for point in plane["points"]), default=1
    )
    for axes, (name, plane) in zip(row, study.planes.items(), strict=False):
        xs, ys = plane["x"], plane["y"]
        values = [float("nan") if p["train_error"] is None else p["train_error"] for p in plane["points"]]
        field = [values[k * len(xs) : (k + 1) * len(xs)] for k in range(len(ys))]
        filled = axes.contourf(xs, ys, field, levels=[highest * k / 20 for k in range(21)], cmap="viridis")
        figure.colorbar(filled, ax=axes, label="training error")
        for corner in plane["networks"]:
            label = Path(corner["network"]).stem.replace("_", " ")
            axes.plot(corner["x"], corner["y"], "o", color="white", markeredgecolor="black")
            axes.annotate(label, (corner["x"], corner["y"]), xytext=(4, 4), textcoords="offset points", color="white")
        axes.set(title={"raw": "as trained", "normal": "normalised"}.get(name, name), aspect="equal")
    return figure


def distances(study: Study) -> Figure:
    """Draw each pair's distance, and each midpoint's to the two ends."""
    figure, (row,) = panels(1, 2)
    for place, pair in enumerate(PAIRS):
        dots(row[0], place, list(geodesics(of_pair(study.distances, pair)).values()), PAIR_COLOURS[pair])
    row[0].set_xticks(range(len(PAIRS)), [words(pair) for pair in PAIRS], rotation=30)
    row[0].set(ylabel="geodesic distance", title="between solutions")
    ticks = []
    for pair in MIXED:
        own = of_pair(study.bent["geodesic"], pair).values()
        for sampler, end in zip(pair, ("start", "end"), strict=True):
            dots(row[1], len(ticks), [to_end(curve, end) for curve in own], COLOURS[sampler])
            ticks.append(f"{words(pair)}\nto {sampler.upper()}")
    row[1].set_xticks(range(len(ticks)), ticks, rotation=30, fontsize=7)
    row[1].set(ylabel="geodesic distance", title="from optimised midpoints to the ends")
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
