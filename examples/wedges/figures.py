"""The figures of one study; needs matplotlib."""

from __future__ import annotations

import shutil
from pathlib import Path

from matplotlib.figure import Figure
from study.figures import band, dots, panels

from wedges.connectors import KINDS, OBJECTIVES, Connectors
from wedges.ensembles import ARMS, Ensembles
from wedges.findings import Study
from wedges.subspaces import Curve
from wedges.surrogate import Surrogate
from wedges.widths import CHAINS, Arm

COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple", "tab:brown")


def draw(study: Study, folder: Path) -> list[tuple[str, str]]:
    """Write the figures of what a study has measured; return file names and what each shows."""
    drawn: list[tuple[Figure, str, str]] = []
    if study.curves:
        text = "Errors of networks trained in random subspaces, by dimension; dashed: 90 % of the full accuracy."
        drawn.append((subspaces(study.curves), "subspaces", text))
    if study.arms:
        text = "Angular width by hyperparameter; and turning every unit at random, or along the gradient."
        drawn.append((widths(study.arms), "widths", text))
    if study.connectors:
        text = "Largest training error on the flat simplex, on the untrained connector and on the trained ones."
        drawn.append((connectors(study.connectors), "connectors", text))
    if study.ensembles:
        text = "Ensembles, a point each group: averaging weights, gain in loss, disagreement (test set)."
        drawn.append((ensembles(study.ensembles), "ensembles", text))
    if study.surrogate:
        text = "The surrogate: least loss on random planes, exact and by the formula (dashed), and stars of solutions."
        drawn.append((surrogate(study.surrogate), "surrogate", text))
    written = []
    for figure, name, caption in drawn:
        file = folder / f"{study.name}-{name}.png"
        figure.savefig(file, dpi=100)
        written.append((file.name, caption))
    return written + [copied(picture, study, folder) for picture in study.pictures]


def copied(picture: Path, study: Study, folder: Path) -> tuple[str, str]:
    """Copy a picture of one set; return its name and what it shows."""
    kind = next(title for kind, title in KINDS.items() if kind in picture.name)
    file = folder / f"{study.name}-{picture.name}"
    shutil.copyfile(picture, file)
    return file.name, f"The first set of three, {kind}: training error on its complex (`landscape path --plot`)."


def subspaces(curves: list[Curve]) -> Figure:
    """Draw errors against the dimension, a panel for each split."""
    figure, (row,) = panels(1, 2)
    for axes, split in zip(row, ("test", "train"), strict=True):
        for curve, colour in zip(curves, COLOURS, strict=False):
            columns = [list(errors[split].values()) for errors in curve.errors.values()]
            band(axes, list(curve.errors), columns, f"width {curve.width}, D = {curve.weights}", colour)
            if split == "test":
                axes.axhline(curve.target, color=colour, linestyle="--", linewidth=0.8)
        axes.set(xscale="log", xlabel="d", ylabel=f"{split} error", ylim=(0, None))
    row[0].legend()
    return figure


def widths(arms: dict[str, Arm]) -> Figure:
    """Draw the widths along each chain of hyperparameters, and profiles of the base network."""
    chains = {label: chain for label, chain in CHAINS.items() if all(arm in arms for arm in chain[2])}
    figure, grid = panels(2, 3)
    places = [axes for row in grid for axes in row]
    for axes, (label, (name, _, chain)) in zip(places, chains.items(), strict=False):
        for place, arm in enumerate(chain):
            dots(axes, place, list(arms[arm].angles.values()), COLOURS[place])
        axes.set_xticks(range(len(chain)), [arm.replace("_", " ") for arm in chain])
        axes.set(title=f"{label}. {name}", ylabel="φ, degrees", xlim=(-0.5, len(chain) - 0.5))
    profiles = arms["base"].profiles if "base" in arms else {}
    for (kind, profile), colour in zip(profiles.items(), COLOURS, strict=False):
        band(places[5], list(profile), [list(errors.values()) for errors in profile.values()], kind, colour)
    places[5].set(title="base, by direction", xlabel="angle, degrees", ylabel="training error")
    if profiles:
        places[5].legend()
    for axes in places[len(chains) : 5]:
        axes.set_visible(False)
    return figure


def connectors(found: Connectors) -> Figure:
    """Draw the largest error of each set, before and after, a panel for each size of sets."""
    figure, (row,) = panels(1, len(found.sizes))
    for axes, size in zip(row, found.sizes, strict=True):
        ticks: list[str] = []
        for kind, colour in zip(KINDS, COLOURS, strict=False):
            own = found.sets[size, kind, "vertices"]
            heights = {"flat": own.flat, "untrained": own.before}
            done = [on for on in OBJECTIVES if (size, kind, on) in found.sets]
            heights |= {OBJECTIVES[on]: found.sets[size, kind, on].highest for on in done}
            for name, values in heights.items():
                dots(axes, len(ticks), list(values.values()), colour)
                ticks.append(f"{KINDS[kind]}\n{name}")
        axes.set_xticks(range(len(ticks)), ticks, rotation=30, fontsize=7)
        axes.set(title=f"sets of {size} solutions", ylabel="largest training error", yscale="symlog")
        axes.set_yscale("symlog", linthresh=0.01)
        axes.set_ylim(bottom=0)
        axes.axhline(0.01, color="gray", linestyle="--", linewidth=0.8)
    return figure


def ensembles(found: dict[tuple[str, str], Ensembles]) -> Figure:
    """Draw what ensembles do in weights, in loss, and how much they disagree."""
    figure, (row,) = panels(1, 3)
    shown = [(arm, kind) for arm in ARMS for kind in ("trained", "aligned") if (arm, kind) in found]
    for place, (arm, kind) in enumerate(shown):
        own, colour = found[arm, kind], COLOURS[list(ARMS).index(arm)]
        dots(row[0], place, list(own.excess.values()), colour)
        dots(row[1], place, list(own.loss_gain.values()), colour)
        dots(row[2], place, list(own.column("normalised_disagreement").values()), colour)
    titles = ("error: mean of weights less member", "loss: member less ensemble", "disagreement / error")
    for axes, title in zip(row, titles, strict=True):
        ticks = [arm if kind == "trained" else f"{arm}, aligned" for arm, kind in shown]
        axes.set_xticks(range(len(shown)), ticks, rotation=45, fontsize=7)
        axes.set(title=title)
        axes.axhline(0, color="gray", linewidth=0.8)
    return figure


def surrogate(found: Surrogate) -> Figure:
    """Draw the exact optimum by dimension, and the losses of stars by the number of their solutions."""
    figure, (row,) = panels(1, 2)
    for (name, by_size), colour in zip(found.least.items(), COLOURS, strict=False):
        short, wedges = name
        columns = [list(losses.values()) for losses in by_size.values()]
        band(row[0], list(by_size), columns, f"s = {short}, {wedges} wedges", colour)
        if wedges == 1:
            sizes = range(max(by_size) + 1)
            formula = [sum(found.formula(short, size).values()) / len(found.radius) for size in sizes]
            row[0].plot(sizes, formula, "--", color=colour, linewidth=0.8)
    row[0].set(xlabel="d", ylabel="least loss", title="on a random plane")
    row[0].legend(fontsize=7)
    for place, on in enumerate(OBJECTIVES):
        columns = [list(stars.highest[on].values()) for stars in found.stars.values()]
        if columns:
            band(row[1], list(found.stars), columns, OBJECTIVES[on], COLOURS[place])
    if found.stars:
        lines = [list(stars.lines.values()) for stars in found.stars.values()]
        band(row[1], list(found.stars), lines, "lines", "gray")
        row[1].legend()
    row[1].set(xlabel="solutions", ylabel="largest loss", title="on the star through them", ylim=(0, None))
    return figure
