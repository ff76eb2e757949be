"""A figure, and how it is written: the same bytes every time; needs the extra `plot` (matplotlib)."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from landscape_cli.errors import ResultError
from landscape_cli.io.atomic import write_atomic


def new_figure(panels: int) -> tuple[Any, Any]:
    """Return a matplotlib Figure with so many panels side by side, and their axes."""
    from matplotlib.figure import Figure  # without pyplot: no display, no global state

    figure = Figure(figsize=(6.0 * panels, 4.2), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False)
    return figure, axes[0]


def save(figure: Any, path: Path, *, force: bool) -> None:
    """Write a figure whole, in the format that the suffix says: .png, .pdf or .svg.

    Raises:
        ResultError: if it cannot be written.
    """
    content = io.BytesIO()
    dateless = {".png": {}, ".pdf": {"CreationDate": None}, ".svg": {"Date": None}}
    figure.savefig(content, format=path.suffix[1:], dpi=150, metadata=dateless[path.suffix])
    write_atomic(path, content.getvalue(), force=force, error=ResultError)
