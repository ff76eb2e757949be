"""Runs of one training that several processes share, and the first tells of: each trains some, or some replicas."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from landscape_cli.cli.ranks import RANKS_OF_THIS_PROCESS
from landscape_cli.errors import LandscapeError, ResultError, TrainingError

if TYPE_CHECKING:
    import torch

    from landscape_cli.samplers.division import Division
    from landscape_cli.sharing.ranks import Ranks


@dataclass(frozen=True)
class OwnRuns:
    """The runs of this process, and with whom it trains them.

    Attributes:
        seeds: one a run.
        together: the processes that train these runs together, each some of the replicas; None if this one does alone.
    """

    seeds: list[int]
    together: Ranks | None

    @property
    def follows(self) -> bool:
        """Whether another process reads and writes for this one."""
        return self.together is not None and self.together.launch.rank > 0

    @contextmanager
    def division(self, device: torch.device, is_asked: Callable[[], bool]) -> Iterator[Division | None]:
        """Yield how networks are divided among the processes, once all are ready; None if this one is alone.

        Args:
            device: where this one trains.
            is_asked: tells whether this one is asked to stop.

        Raises:
            Exit: if there is nothing to be done.
            RankError: if they do not come.
        """
        if self.together is None:
            yield None
            return
        from landscape_cli.samplers.division import Division

        if not self.together.go():
            raise typer.Exit
        tensors = self.together.tensors(device)
        yield Division(tensors, is_asked)
        tensors.close()
        if self.follows:
            self.together.wait()
            raise typer.Exit

    def part_of_log(self, log: Path | None) -> Path | None:
        """Return where this process keeps its lines of the log until all are put together."""
        launch = RANKS_OF_THIS_PROCESS.launch
        if log is None or self.follows:
            return None
        return log if launch is None or self.together is not None else log.with_name(f"{log.name}.rank{launch.rank}")


def own_runs(seeds: Sequence[int], networks: int) -> OwnRuns:
    """Return the runs that fall to this process, once all processes are there.

    Args:
        seeds: of all runs.
        networks: how many each trains.

    Raises:
        TrainingError: if there are more processes than networks.
        RankError: if they do not come.
    """
    launch = RANKS_OF_THIS_PROCESS.launch
    if launch is not None and launch.size > len(seeds) * networks:
        replicas = f" of {networks} replicas" if networks > 1 else ""
        raise TrainingError(
            f"{launch.size} processes cannot share {len(seeds)} run{'s' * (len(seeds) > 1)}{replicas}: start fewer, "
            "or raise `runs=`"
        )
    ranks = RANKS_OF_THIS_PROCESS.join(saves=True)
    if launch is not None and launch.size > len(seeds):
        return OwnRuns(list(seeds), ranks)
    return OwnRuns(RANKS_OF_THIS_PROCESS.own(seeds), None)


def gather_runs(
    runs: OwnRuns, rows: list[dict[str, Any]], log: Path | None, errors: list[LandscapeError], *, force: bool
) -> list[dict[str, Any]]:
    """Return the rows of all runs, and put the log together; but for the first, processes end here.

    Args:
        runs: those of this process.
        rows: theirs.
        log: the file of the log, if any.
        errors: of this process, to which is added what went wrong elsewhere.
        force: whether another log may be replaced.

    Raises:
        Exit: in other processes than the first, at the end.
        RankError: if one of them has ended.
    """
    from landscape_cli.cli.outputs import noting
    from landscape_cli.io.atomic import write_atomic
    from landscape_cli.io.results import finite

    ranks, part = RANKS_OF_THIS_PROCESS, runs.part_of_log(log)
    if ranks.launch is None or runs.together is not None:
        return rows
    said = part.read_text() if part is not None and part.is_file() else None

    def remove() -> None:
        if part is not None:
            part.unlink(missing_ok=True)

    everything = ranks.gather([finite(rows), said], errors, remove)
    texts = [text for _, text in everything if text is not None]
    if log is not None and texts:
        with noting(errors):
            content = merged_log(texts).encode()
            if not (log.is_file() and log.read_bytes() == content):
                write_atomic(log, content, force=force, error=ResultError)
            remove()
    return [row for some, _ in everything for row in some]


def merged_log(texts: Sequence[str]) -> str:
    """Return the lines of several logs in the order of one process that trains all runs: by phase, then by epoch."""
    tables = [text.splitlines(keepends=True) for text in texts]
    columns = tables[0][0].strip().split(",")
    lines = [line for _, *some in tables for line in some]
    phase, epoch = columns.index("phase"), columns.index("epoch")
    order: Mapping[str, int] = {name: k for k, name in enumerate(dict.fromkeys(_at(line, phase) for line in lines))}
    return tables[0][0] + "".join(sorted(lines, key=lambda line: (order[_at(line, phase)], int(_at(line, epoch)))))


def _at(line: str, column: int) -> str:
    return line.split(",")[column]
