"""The figure of paths between families: the mean error along them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from landscape_cli.figures.curve import as_number, draw_curve, set_scores
from landscape_cli.figures.figure import DEFAULT, Look, finish, new_figure, write_legend, write_title
from landscape_cli.figures.path import describe
from landscape_cli.figures.style import kind_of, short_labels, styles_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def families_figure(*results: Mapping[str, Any], look: Look = DEFAULT) -> Figure:
    """Draw the mean error along the paths of each family pair, and the loss, with a band of one deviation over pairs.

    A row of panels for each of several results, on axes that they share.

    Args:
        *results: of `path` between families, as files hold them.
        look: title, labels of the family pairs, and the size.
    """
    quantities = [kind for kind in ("error", "loss") if all(_has(result, kind) for result in results)] or ["error"]
    rows = [(result, quantity) for result in results for quantity in quantities]
    figure, grid = new_figure(len(rows), 2, look, sharex=True)
    entries: dict[str, Any] = {}
    several = any(entry["pairs"] > 1 for result in results for entry in result["summary"])
    for panels, (result, quantity) in zip(grid, rows, strict=True):
        names = [tuple(entry["families"]) for entry in result["summary"]]
        labels = look.label(_pair_labels(names))
        styles = styles_of(pair_kinds(names))
        for axes, split in zip(panels, ("train", "test"), strict=True):
            values: list[float] = []
            for entry, label, kind in zip(result["summary"], labels, pair_kinds(names), strict=True):
                taus = [point["tau"] for point in entry["points"]]
                spreads = [point.get(f"{split}_{quantity}") or {} for point in entry["points"]]
                means, deviations = (
                    [as_number(spread.get(key)) for spread in spreads] for key in ("mean", "deviation")
                )
                line, drawn = draw_curve(axes, taus, means, deviations, styles[kind])
                entries.setdefault(f"{label} ({entry['pairs']})", line)
                values += drawn
            set_scores(axes, values, look, f"{split} {quantity}")
            axes.set_xlabel("τ")
            if len(results) > 1 and split == "train":
                axes.set_title(describe(result), loc="left")
    write_legend(figure, entries)
    about = ", ".join(dict.fromkeys(map(describe, results))) if len(results) == 1 else "paths between families"
    write_title(figure, look, f"{about}: mean over pairs (their number){', band: one deviation' if several else ''}")
    return finish(figure)


def pair_kinds(names: Sequence[tuple[str, ...]]) -> list[str]:
    """Return the kind of each family pair: that of the family for two of one, else both."""
    return [kind_of(name[0]) if len(set(name)) == 1 else " – ".join(map(kind_of, name)) for name in names]


def _pair_labels(names: Sequence[tuple[str, ...]]) -> list[str]:
    """Return short names of family pairs."""
    families = list(dict.fromkeys(family for name in names for family in name))
    label = dict(zip(families, (text.rstrip("*-_.?") or text for text in short_labels(families)), strict=True))
    if len(set(label.values())) < len(label):
        label = dict(zip(families, short_labels(families), strict=True))
    return [" – ".join(label[family] for family in name) for name in names]


def _has(result: Mapping[str, Any], quantity: str) -> bool:
    points = [point for entry in result["summary"] for point in entry["points"][:1]]
    return any(name in point for point in points for name in (f"train_{quantity}", f"test_{quantity}"))
