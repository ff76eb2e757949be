"""Pictures of results; needs the extra `plot` (matplotlib)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from landscape_cli.errors import ResultError
from landscape_cli.figures.figure import new_figure, save
from landscape_cli.io.atomic import check_output

SUFFIXES = (".png", ".pdf", ".svg")


def check_plot(path: Path, *, force: bool) -> None:
    """Check that a picture can be drawn and written to `path`.

    Raises:
        ResultError: if the suffix is unknown, matplotlib is missing, or a file stands in the way.
    """
    if path.suffix not in SUFFIXES:
        raise ResultError(f"{path} must end in {', '.join(SUFFIXES)}")
    check_output(path, force=force, error=ResultError)
    try:
        import matplotlib  # noqa: F401 - only whether it is there
    except ImportError:
        raise ResultError("plots need matplotlib: pip install 'landscape-cli[plot]'") from None


def plot_path(path: Path, rows: Sequence[Mapping[str, Any]], *, title: str, force: bool) -> None:
    """Draw the error along a path, with a band of one deviation on either side where there is one."""
    figure, axes = new_figure(1)
    highest = 0.0
    for split in ("train", "test"):
        means = [row[f"{split}_error"] for row in rows]
        deviations = [row.get(f"{split}_error_deviation", math.nan) for row in rows]
        highest = max(highest, _draw_mean(axes[0], [row["tau"] for row in rows], means, deviations, split))
    axes[0].set(xlabel="τ", ylabel="error", title=title, ylim=(0, 1.1 * highest or 1))
    axes[0].legend()
    save(figure, path, force=force)


def plot_families(path: Path, summary: Sequence[Mapping[str, Any]], *, title: str, force: bool) -> None:
    """Draw the mean error along the paths of each family pair, with a band of one deviation on either side."""
    figure, axes = new_figure(2)
    for ax, split in zip(axes, ("train", "test"), strict=True):
        highest = 0.0
        for entry in summary:
            taus = [point["tau"] for point in entry["points"]]
            spreads = [point[f"{split}_error"] for point in entry["points"]]
            means, deviations = ([spread[key] for spread in spreads] for key in ("mean", "deviation"))
            label = f"{' – '.join(entry['families'])} ({entry['pairs']})"
            highest = max(highest, _draw_mean(ax, taus, means, deviations, label))
        ax.set(xlabel="τ", ylabel=f"{split} error", ylim=(0, 1.1 * highest or 1))
        ax.legend()
    figure.suptitle(title)
    save(figure, path, force=force)


def _draw_mean(
    ax: Any, taus: Sequence[float], means: Sequence[float], deviations: Sequence[float], label: str
) -> float:
    """Draw a mean with a band of one deviation on either side; return the highest number drawn, or 0."""
    (line,) = ax.plot(taus, means, ".-", label=label)
    low = [mean - deviation for mean, deviation in zip(means, deviations, strict=True)]
    high = [mean + deviation for mean, deviation in zip(means, deviations, strict=True)]
    if not all(map(math.isnan, high)):
        ax.fill_between(taus, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    return max((value for value in (*means, *high) if not math.isnan(value)), default=0.0)
