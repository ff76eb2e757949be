"""How the files of a training are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import typer

from landscape_cli.cli.outputs import check_fields
from landscape_cli.errors import quoted
from landscape_cli.io.checkpoint import check_checkpoint_name

FIELD = "{seed}"


@dataclass(frozen=True)
class CheckpointFile:
    """A file that training writes.

    Attributes:
        path: its name.
        seed: of its run.
        extra: what its history says beside the run's: which replica, epoch or snapshot it is.
    """

    path: Path
    seed: int
    extra: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class RunFiles:
    """The files of one run.

    Attributes:
        solution: of the network that the run comes to.
        replicas: of those that it is the centre of.
        epochs: of networks on the way, by their epochs.
        snapshots: of the sampler's snapshots.
    """

    solution: CheckpointFile
    replicas: tuple[CheckpointFile, ...]
    epochs: tuple[CheckpointFile, ...]
    snapshots: tuple[CheckpointFile, ...]

    @property
    def on_the_way(self) -> tuple[CheckpointFile, ...]:
        """Those that are written while training goes on."""
        return (*self.epochs, *self.snapshots)

    @property
    def at_the_end(self) -> tuple[CheckpointFile, ...]:
        """Those that are written when it has ended."""
        return (self.solution, *self.replicas)


def check_template(template: Path, seeds: Sequence[int]) -> None:
    """Check that a name gives every run a file of its own.

    Raises:
        BadParameter: if several runs would write one file, or there is a field that is not known.
        CheckpointError: if it is not a checkpoint's.
    """
    check_checkpoint_name(template)
    if len(seeds) > 1 and FIELD not in template.name:
        named = template.with_name(f"{template.stem}-{FIELD}{template.suffix}")
        raise typer.BadParameter(f"--runs writes one file a run: put the seed into its name, as in -o {quoted(named)}")
    check_fields(template, [FIELD])


def run_files(
    template: Path, seed: int, *, replicas: int, snapshots: Sequence[int], keep_epochs: Sequence[int]
) -> RunFiles:
    """Return the files of a run.

    Args:
        template: the name, perhaps with a field for the seed.
        seed: of the run.
        replicas: how many are written as well; 0 for none.
        snapshots: the epochs of the snapshots that are written as well.
        keep_epochs: other epochs whose networks are written as well; 0 for the beginning.
    """
    path = Path(str(template).replace(FIELD, str(seed)))

    def beside(what: str, number: int, **more: int) -> CheckpointFile:
        name = path.with_name(f"{path.stem}-{what}{number}{path.suffix}")
        return CheckpointFile(name, seed, {what: number, **more})

    return RunFiles(
        CheckpointFile(path, seed),
        tuple(beside("replica", number) for number in range(1, replicas + 1)),
        tuple(beside("epoch", epoch) for epoch in sorted(keep_epochs)),
        tuple(beside("snapshot", number, epoch=epoch) for number, epoch in enumerate(snapshots, 1)),
    )


def state_file(template: Path, seeds: Sequence[int]) -> Path:
    """Return where the state of training is kept meanwhile."""
    span = str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]}..{seeds[-1]}"
    return Path(f"{str(template).replace(FIELD, span)}.resume")
