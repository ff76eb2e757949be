"""Write the least loss of the surrogate on random planes, exactly.

python examples/wedges/exact.py --dim 500 --short 50,100 --wedges 1,10 --dims 0,50 --landscapes 3 --planes 10 FILE.json

Every landscape has so many planes, through a position drawn N(0, 1); the larger planes of a number hold the smaller.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from landscape_cli.models.wedges import least_loss_on_plane, wedges
from landscape_cli.rng import generator


def arguments() -> argparse.Namespace:
    """Return what the command line says."""

    def whole(text: str) -> list[int]:
        return [int(part) for part in text.split(",")]

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dim", type=int, required=True)
    for name in ("--short", "--wedges", "--dims"):
        parser.add_argument(name, type=whole, required=True)
    parser.add_argument("--landscapes", type=int, required=True)
    parser.add_argument("--planes", type=int, required=True)
    parser.add_argument("file", type=Path)
    return parser.parse_args()


def least_losses(dim: int, short: int, count: int, dims: list[int], landscape: int, plane: int) -> dict[str, Any]:
    """Return the least loss on planes of several dimensions through one position."""
    model = wedges((1,), 2, dim=dim, short=short, wedges=count, seed=landscape)
    source = generator(landscape, plane)
    position = torch.randn(dim, generator=source, dtype=torch.float64)
    basis = torch.randn(dim, max(dims), generator=source, dtype=torch.float64)
    losses = [least_loss_on_plane(model, {"position": position.float()}, basis[:, :size]) for size in dims]
    return {
        "short": short,
        "wedges": count,
        "landscape": landscape,
        "plane": plane,
        "radius": float(position.norm()),
        "losses": losses,
    }


def main() -> None:
    """Write the file."""
    asked = arguments()
    planes = [
        least_losses(asked.dim, short, count, asked.dims, landscape, plane)
        for short in asked.short
        for count in asked.wedges
        for landscape in range(asked.landscapes)
        for plane in range(asked.planes)
    ]
    asked.file.write_text(json.dumps({"dim": asked.dim, "dims": asked.dims, "planes": planes}) + "\n")


if __name__ == "__main__":
    main()
