"""The options of `flatness --kind radial`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from landscape_cli.choices import Method
from landscape_cli.cli.groups import Group
from landscape_cli.cli.options import Loss

Directions = Annotated[
    str | None,
    typer.Option(
        "--directions",
        metavar="random|gradient|radial|FILE,…",
        help="Where to: random, each unit by the same angle; gradient, minus and plus that of the loss; radial, all "
        "weights times a factor; towards the network of a FILE. Several are separated by commas.  [default: random]",
    ),
]
Angles = Annotated[
    str | None,
    typer.Option(
        "--angles", help="Degrees that units turn by, rising, separated by commas.  [default: 5,10,15,…,55,60]"
    ),
]
Factors = Annotated[
    str | None,
    typer.Option(
        "--factors",
        help="Directions radial: factors of all weights, separated by commas.  [default: 0.5,0.7,1,1.4,2]",
    ),
]
Growth = Annotated[
    float | None,
    typer.Option("--growth", help="Growth of the error at which the angular width is taken.  [default: 0.1]"),
]
AlignTarget = Annotated[
    Method | None,
    typer.Option(
        "--align", help="Directions FILE: how that network is aligned to each that is measured.  [default: cosine]"
    ),
]


@dataclass(frozen=True)
class RadialOptions(Group):
    """How far networks are moved away from themselves, and where to; None where that was not said."""

    panel = "Kind radial: how the error grows as all units turn"

    directions: Directions = None
    angles: Angles = None
    factors: Factors = None
    growth: Growth = None
    align: AlignTarget = None
    loss: Loss = False
