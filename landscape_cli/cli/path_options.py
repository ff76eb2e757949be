"""Options of `path`, some of connectors too; nothing here imports torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from landscape_cli.choices import Kind, Optimizer, Schedule
from landscape_cli.cli.options import LARGEST_COUNT

Points = Annotated[
    int,
    typer.Option(
        "--points",
        min=2,
        max=LARGEST_COUNT,
        help="Points on the path, evenly spaced, ends included; of a connector on each edge [7].",
    ),
]
From = Annotated[
    float,
    typer.Option("--from", max=0.0, help="Begin before the first network, at this τ; points are as far apart."),
]
To = Annotated[
    float, typer.Option("--to", min=1.0, help="End behind the second network. Barriers are those between the two.")
]
PathKind = Annotated[
    Kind | None,
    typer.Option(
        "--kind",
        help="Straight line, or geodesic between normalised networks; shortest: fewest flips of signs, between binary "
        "networks; connector: a low-loss set through all networks named. By default linear, for binary networks "
        "shortest.",
    ),
]
Orders = Annotated[
    int,
    typer.Option(
        "--orders",
        min=1,
        max=LARGEST_COUNT,
        help="Binary networks: random orders of the flips, over which means are taken.",
    ),
]
Repair = Annotated[
    bool,
    typer.Option(
        "--repair",
        help="Networks without batch-norm: correct the mean and deviation of every hidden unit that a layer puts out "
        "between the two (none inside of attention), over the training set, to between theirs (REPAIR).",
    ),
]
OptimizeMidpoint = Annotated[
    bool,
    typer.Option("--optimize-midpoint", help="Train the middle of the path, and measure the path through it."),
]
MidpointEpochs = Annotated[
    int, typer.Option("--epochs", min=1, help="Midpoint or vertex: passes over the training set, at most.")
]
MidpointRate = Annotated[
    float | None,
    typer.Option(
        "--lr",
        help="Midpoint or vertex: learning rate at the start.  [default: 0.02, adam 0.001; binary: 20, adam 0.05]",
    ),
]
MidpointMomentum = Annotated[float, typer.Option("--momentum", help="Midpoint or vertex: Nesterov momentum of sgd.")]
ByOptimizer = Annotated[
    Optimizer | None,
    typer.Option(
        "--optimizer", help="Midpoint: sgd or adam; by default what the networks record that they were trained by."
    ),
]
BySchedule = Annotated[
    Schedule | None,
    typer.Option("--lr-schedule", help="Midpoint: how its learning rate falls, likewise; else by a cosine to zero."),
]
Midpoints = Annotated[
    int,
    typer.Option(
        "--midpoints",
        min=1,
        max=LARGEST_COUNT,
        help="Midpoints trained for each pair: means and deviations are over the paths through them.",
    ),
]
BothWays = Annotated[
    bool,
    typer.Option("--both-ways", help="With --pairs: walk (and align) every pair from its second network, too."),
]
MidpointBatch = Annotated[int, typer.Option("--batch-size", min=1, help="Midpoint or vertex: samples in a mini-batch.")]
MidpointUntil = Annotated[
    float, typer.Option("--until-error", help="Midpoint or vertex: stop once the training error is this low.")
]
MidpointOut = Annotated[
    Path | None,
    typer.Option(
        "--midpoint-out",
        help="Checkpoint to write the midpoint to; with --pairs 'mid-{start}-{end}.st', of the stems of the files.",
    ),
]
