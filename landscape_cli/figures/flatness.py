"""The figure of flatness: local energies against the strength of the perturbation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from landscape_cli.choices import Perturbation
from landscape_cli.figures.curve import column, draw_curve, set_scores
from landscape_cli.figures.figure import DEFAULT, Look, finish, new_figure, write_legend, write_title
from landscape_cli.figures.networks import lines_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STRENGTHS = tuple(choice.value for choice in Perturbation)


def flatness_figure(*results: Mapping[str, Any], look: Look = DEFAULT) -> Figure:
    """Draw the local energy of networks against the strength of their perturbation, a panel for each split.

    Bars are one standard error over draws. Of families, and of more than a few networks of one sampler, the mean is
    drawn with a band of one deviation over networks.

    Args:
        *results: of `flatness`, as files hold them; their networks are drawn together.
        look: title, labels of the networks or families, and the size.
    """
    networks = [network for result in results for network in result["networks"]]
    families = {name: files for result in results for name, files in result.get("families", {}).items()}
    first = networks[0]["local_energy"][0]
    kind = next(name for name in STRENGTHS if name in first)
    quantity = networks[0].get("quantity", "error")
    splits = [split for split in ("train", "test") if f"{split}_energy" in first]
    figure, [panels] = new_figure(1, len(splits), look, sharey=True)
    entries: dict[str, Any] = {}
    bands: set[str] = set()
    bars: set[str] = set()
    lines = lines_of([network["network"] for network in networks], look, families)
    values: list[float] = []
    for axes, split in zip(panels, splits, strict=True):
        for line in lines:
            rows = [networks[k]["local_energy"] for k in line.members]
            x, means, deviations = _mean(rows, kind, split)
            drawn, numbers = draw_curve(axes, x, means, deviations, line.style, band=len(line.members) > 1)
            entries.setdefault(line.label, drawn)
            values += numbers
            (bands if len(line.members) > 1 else bars).add(split)
    for axes, split in zip(panels, splits, strict=True):
        set_scores(axes, values, look, f"local energy δE ({split} {quantity})")
        axes.set_xlabel(Perturbation(kind).load().label)
    write_legend(figure, entries)
    said = [text for text, there in ((ONE, bars), (MANY, bands)) if there]
    write_title(figure, look, "; ".join(said))
    return finish(figure)


ONE = "bars: one standard error over draws"
MANY = "mean and band of one deviation over networks"


def _mean(
    networks: Sequence[Sequence[Mapping[str, Any]]], kind: str, split: str
) -> tuple[list[float], list[float], list[float]]:
    """Return strengths, energies, and their standard errors, or of several networks mean and deviation over them."""
    x = column(networks[0], kind)
    if len(networks) == 1:
        return x, column(networks[0], f"{split}_energy"), column(networks[0], f"{split}_standard_error")
    by_strength = [dict(zip(column(rows, kind), column(rows, f"{split}_energy"), strict=True)) for rows in networks]
    x = sorted({strength for each in by_strength for strength in each})
    energies = [[each.get(strength, math.nan) for each in by_strength] for strength in x]
    return x, [fmean(values) for values in energies], [stdev(values) for values in energies]
