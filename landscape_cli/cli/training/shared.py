"""Runs of one training that several processes share: each trains some, and the first tells of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from landscape_cli.cli.ranks import RANKS_OF_THIS_PROCESS
from landscape_cli.errors import LandscapeError, ResultError, TrainingError


def own_runs(seeds: Sequence[int]) -> list[int]:
    """Return the seeds of the runs that fall to this process, once all processes are there.

    Raises:
        TrainingError: if there are more processes than runs.
        RankError: if they do not come.
    """
    launch = RANKS_OF_THIS_PROCESS.launch
    if launch is not None and launch.size > len(seeds):
        raise TrainingError(
            f"{launch.size} processes cannot share {len(seeds)} run{'s' * (len(seeds) > 1)}: start fewer, or raise "
            "`runs=`"
        )
    RANKS_OF_THIS_PROCESS.join(saves=True)
    return RANKS_OF_THIS_PROCESS.own(seeds)


def part_of_log(log: Path | None) -> Path | None:
    """Return where this process keeps its lines of the log until all are put together."""
    launch = RANKS_OF_THIS_PROCESS.launch
    return log if log is None or launch is None else log.with_name(f"{log.name}.rank{launch.rank}")


def gather_runs(
    rows: list[dict[str, Any]], log: Path | None, errors: list[LandscapeError], *, force: bool
) -> list[dict[str, Any]]:
    """Return the rows of all runs, and put the log together; but for the first, processes end here.

    Args:
        rows: of this process' runs.
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

    ranks, part = RANKS_OF_THIS_PROCESS, part_of_log(log)
    if ranks.launch is None:
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
