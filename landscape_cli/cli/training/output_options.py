"""Where `landscape train` writes to, and what it keeps meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from landscape_cli.cli.groups import Group
from landscape_cli.cli.options import Force, Form
from landscape_cli.cli.parsing import flag, given, whole_numbers


@dataclass(frozen=True)
class CheckpointOptions(Group):
    """Where checkpoints go."""

    panel = "Output"

    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Checkpoint to write, .st or .safetensors; .pt, .pth or .bin: a plain state_dict; with --runs a name "
            "for each, as in 'sgd-{seed}.st'.  "
            "[default: ALGO-SEED.st]",
            show_default=False,
        ),
    ] = None
    keep_epochs: Annotated[
        str | None,
        typer.Option(
            "--keep-epochs",
            metavar="EPOCHS",
            help="Write the networks after these epochs as well, NAME-epoch5.st; 0: the initial one. As in 0,1,2,5,10.",
            show_default=False,
        ),
    ] = None
    export: Annotated[
        Path | None,
        typer.Option(
            "--export",
            help="Also write a plain state_dict: .pt, .pth, .bin or .safetensors; with --runs as in 'sgd-{seed}.pt'.",
            show_default=False,
        ),
    ] = None
    force: Force = False
    form: Form = None

    def check_plain(self, context: typer.Context) -> None:
        """Refuse what does not go with plain `state_dict`s, which say nothing of their training.

        Raises:
            BadParameter: naming it.
        """
        from landscape_cli.io.export import PICKLES

        if self.output is None or self.output.suffix not in PICKLES:
            return
        for name in ("resume", "checkpoint_every", "export"):
            if given(context, name):
                raise typer.BadParameter(
                    f"{flag(name)} does not go with -o {self.output}, which would not say of which training it is: "
                    "name an .st with -o, and this one with --export"
                )

    def exports(self, seeds: Sequence[int], outputs: Sequence[Path | None], *, resume: bool) -> dict[int, Path]:
        """Return where each run's network goes as a plain `state_dict`, by its seed, checking that it may.

        Those that are there may be of a training that goes on.

        Raises:
            BadParameter, CheckpointError, ResultError: as `export_paths` does.
        """
        from landscape_cli.cli.outputs import export_paths, named_paths
        from landscape_cli.cli.training.names import FIELD

        if self.export is None:
            return {}
        names = [{FIELD: str(seed)} for seed in seeds]
        paths = dict(zip(seeds, named_paths(self.export, "--export", names), strict=True))
        for path in paths.values():
            if not (resume and path.is_file()):
                export_paths(path, [{}], outputs, force=self.force)
        return paths

    def kept_epochs(self, last: int) -> list[int]:
        """Return after which epochs networks are to be written.

        Args:
            last: the last epoch that there is.

        Raises:
            BadParameter: if the option is malformed.
            TrainingError: if an epoch is none of this training's, or is named twice.
        """
        from landscape_cli.samplers import check_keep_epochs

        if self.keep_epochs is None:
            return []
        epochs = whole_numbers(self.keep_epochs, "--keep-epochs")
        if not epochs:
            raise typer.BadParameter("--keep-epochs names no epoch: give some, as in 0,1,5, or leave it out")
        check_keep_epochs(epochs, last)
        return epochs


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
