"""Where `landscape train` writes to, and what it keeps meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from landscape_cli.cli.groups import Group
from landscape_cli.cli.options import Force, Form


@dataclass(frozen=True)
class CheckpointOptions(Group):
    """Where checkpoints go."""

    panel = "Output"

    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Checkpoint to write, .st or .safetensors; with --runs a name for each, as in 'sgd-{seed}.st'.  "
            "[default: ALGO-SEED.st]",
            show_default=False,
        ),
    ] = None
    force: Force = False
    form: Form = None


@dataclass(frozen=True)
class ResumeOptions(Group):
    """What is kept while training goes on, and whether to go on from it."""

    panel = "Log and interruption"

    log: Annotated[
        Path | None,
        typer.Option("--log", help="CSV file with a line for every epoch, written as training goes on."),
    ] = None
    checkpoint_every: Annotated[
        int | None,
        typer.Option(
            "--checkpoint-every",
            min=1,
            help="Save the state of training after so many epochs, and on SIGTERM and Ctrl-C, in NAME.resume.",
            show_default=False,
        ),
    ] = None
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from such a file; without one, begin.", show_default=False)
    ] = False
