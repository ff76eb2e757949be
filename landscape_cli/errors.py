"""The errors and warnings that reach a user: one line each, saying what is wrong and what to do.

A message names a parameter as `data=`, which the command line shows as its option.
"""

from __future__ import annotations

from collections.abc import Iterable

LONGEST_SHOWN = 100


def one_line(error: BaseException, longest: int = 200) -> str:
    """Return what an error of others' code says, on one line: its lines are separated by slashes."""
    lines = (" ".join(line.split()) for line in str(error).splitlines())
    return " / ".join(line for line in lines if line)[:longest]


def shown(name: str) -> str:
    """Return a name from a file as a message can show it: one short line without control characters."""
    text = name if name.isprintable() else ascii(name)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def listed(items: Iterable[object], most: int = 3) -> str:
    """Return the first few of some items, and how many more there are."""
    words = list(map(str, items))
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return f"{', '.join(words[:most])}{more}"


class LandscapeError(Exception):
    """Something a user can read and act on; the command line prints it as one line and exits with `exit_code`."""

    exit_code = 2


class CheckpointError(LandscapeError):
    """A checkpoint that cannot be read, written or used."""


class ResultError(LandscapeError):
    """A result that cannot be written."""


class DataError(LandscapeError):
    """A data set that is missing or malformed."""


class ModelError(LandscapeError):
    """A model that does not exist, cannot be built, or does not fit its parameters."""


class TraceError(LandscapeError):
    """A model whose symmetries cannot be derived."""


class InconsistencyError(TraceError):
    """Symmetries that contradict themselves: our fault, not the model's."""

    exit_code = 1


class GeometryError(LandscapeError):
    """Networks between which the asked-for path, plane or distance does not exist."""


class TrainingError(LandscapeError):
    """A training run that cannot start or has diverged."""


class ProofError(LandscapeError):
    """A transformed network that does not compute what it should: our fault, so nothing is written."""

    exit_code = 1


class LandscapeWarning(UserWarning):
    """Something that makes a result less than what was asked for, or hard to interpret."""


class Remark(UserWarning):
    """Something that was done or left, and is good to know; nothing is wrong."""
