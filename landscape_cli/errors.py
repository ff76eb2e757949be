"""The errors and warnings that reach a user: one line each, saying what is wrong and what to do.

A message names a parameter as `data=`, which the command line shows as its option.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import PurePath

LONGEST_SHOWN = 100
LONGEST_MESSAGE = 400
LONGEST_QUOTED = 200


def one_line(error: BaseException, longest: int = 200) -> str:
    """Return what an error of others' code says, on one line: its lines are separated by slashes."""
    lines = (" ".join(line.split()) for line in said_by(error).splitlines())
    text = escaped(" / ".join(line for line in lines if line))
    return text if len(text) <= longest else f"{_head(text, longest)}..."


def said_by(error: BaseException) -> str:
    """Return what an error of others' code says; nothing if saying it fails too."""
    try:
        return str(error)
    except Exception:  # code of others
        return ""


def escaped(text: str) -> str:
    r"""Return text as a terminal can show it: what does not print, as \x1b or \u202e, moves nothing there.

    Control characters, those that turn the direction of writing, line ends and halves of surrogates are such; text
    that was escaped stays as it is.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shown(name: str) -> str:
    """Return a name from a file as a message can show it: one short line without control characters."""
    return _cut(escaped(name), LONGEST_SHOWN)


def quoted(text: str | PurePath) -> str:
    """Return text, or a file's name, as a word of a command that may be copied into a shell; too long a one, cut."""
    word = _cut(escaped(str(text)), LONGEST_QUOTED)
    return shlex.quote(f"./{word}" if isinstance(text, PurePath) and word.startswith("-") else word)


def shortened(message: str, longest: int = LONGEST_MESSAGE) -> str:
    """Return a message that is too long without words in its middle: what is wrong comes first, what to do last."""
    if len(message) <= longest:
        return message
    return f"{_head(message, longest * 2 // 3)} ... {_head(message[::-1], longest // 3)[::-1]}"


def _head(text: str, longest: int) -> str:
    """Return the beginning of a text, in whole words unless one is very long."""
    head = text[:longest]
    if text[longest : longest + 1] == " ":
        return head
    words = head.rpartition(" ")[0]
    return words if len(words) > longest // 2 else head


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}..."


def cut_middle(text: str, longest: int, mark: str = "…") -> str:
    """Return a text that is too long without its middle."""
    if len(text) <= longest:
        return text
    head = (longest - len(mark) + 1) // 2
    return f"{text[:head]}{mark}{text[len(text) - (longest - len(mark) - head) :]}"


def listed(items: Iterable[object], most: int = 3) -> str:
    """Return the first few of some items, and how many more there are."""
    words = list(map(str, items))
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return f"{', '.join(words[:most])}{more}"


class LandscapeError(Exception):
    """Something a user can read and act on; the command line prints it as one line and exits with `exit_code`."""

    exit_code = 2

    def __init__(self, message: str = "") -> None:
        """Take what to say, of which what does not print is escaped."""
        super().__init__(escaped(message))


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

    def __init__(self, message: str = "") -> None:
        """Take what to say, of which what does not print is escaped."""
        super().__init__(escaped(message))


class Remark(UserWarning):
    """Something that was done or left, and is good to know; nothing is wrong."""

    def __init__(self, message: str = "") -> None:
        """Take what to say, of which what does not print is escaped."""
        super().__init__(escaped(message))
