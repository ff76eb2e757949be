"""Parts of a measurement in files, and putting them together."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from landscape_cli.errors import ResultError, listed
from landscape_cli.io.records import RecordError, digest, from_record, read_json
from landscape_cli.sharing.journal import check_same
from landscape_cli.sharing.share import MOST_PARTS, Values

FORMAT = "landscape/part/2"


@dataclass(frozen=True)
class Part:
    """What one of several processes has measured, each by itself.

    Attributes:
        format: says that this is a part.
        command: which command it is of.
        part: which part, counted from 1.
        of: how many there are.
        provenance: of the result.
        frame: of the result, all but what was measured, as JSON values.
        values: what was measured.
    """

    format: str
    command: str
    part: int
    of: int
    provenance: Mapping[str, Any]
    frame: Any
    values: Mapping[str, Any]

    def to_json(self) -> str:
        """Return the part as JSON text, which says first that it is one."""
        marks = {"format": self.format, "command": self.command, "part": self.part, "of": self.of}
        content = {"partial": marks, "frame": self.frame, "values": self.values, "provenance": self.provenance}
        return json.dumps(content | {"digest": digest(content)}, allow_nan=False) + "\n"


@dataclass(frozen=True)
class _Marks:
    format: str
    command: str
    part: int
    of: int


@dataclass(frozen=True)
class _Content:
    partial: _Marks
    frame: Any
    values: Mapping[str, Any]
    provenance: Mapping[str, Any]
    digest: str


def read_part(path: Path, command: str) -> Part:
    """Read a part of a command's result.

    Raises:
        ResultError: if the file cannot be read, or holds no such part.
    """
    content = read_json(path)
    if not isinstance(content, dict) or "partial" not in content:
        raise ResultError(f"{path} is no partial result, as `part=` writes it: leave it out")
    try:
        read = from_record(_Content, content, "the part")
    except RecordError as cause:
        raise ResultError(f"{path} is damaged: {cause}") from cause
    if read.digest != digest({key: value for key, value in content.items() if key != "digest"}):
        raise ResultError(f"{path} is not as it was written: measure that part again")
    marks = read.partial
    if marks.format != FORMAT:
        raise ResultError(f"{path} was written by another version of landscape: measure that part again")
    if marks.command != command:
        raise ResultError(f"{path} is of {marks.command!r}, not of {command}: name its command")
    if not 1 <= marks.part <= marks.of <= MOST_PARTS:
        raise ResultError(f"{path} says that it is part {marks.part} of {marks.of}, which there is not")
    return Part(FORMAT, command, marks.part, marks.of, read.provenance, read.frame, read.values)


class MergedValues(dict[str, Any]):
    """What was measured in several parts.

    Attributes:
        file: that of the part which measured the value that was taken last.
    """

    def __init__(self, parts: Mapping[Path, Part]) -> None:
        """Put the values of parts together, which have none in common."""
        super().__init__({key: value for part in parts.values() for key, value in part.values.items()})
        self._files = {key: file for file, part in parts.items() for key in part.values}
        self.file = next(iter(parts))

    def __getitem__(self, key: str) -> Any:
        self.file = self._files.get(key, self.file)
        return super().__getitem__(key)


def merge(paths: Sequence[Path], parts: Sequence[Part]) -> tuple[MergedValues, Part]:
    """Return what was measured in all parts, and one of them, with which the others agree.

    Args:
        paths: their files.
        parts: as they were read.

    Raises:
        ResultError: if one is missing, or there twice, or of another measurement.
    """
    first = parts[0]
    files: dict[int, Path] = {}
    for path, part in zip(paths, parts, strict=True):
        said = {"provenance": part.provenance, "of": part.of, "frame": part.frame}
        expected = {"provenance": first.provenance, "of": first.of, "frame": first.frame}
        if said != expected:
            check_same(said, expected, f"{path}, beside {paths[0]},", "merge parts of one command")
        if files.get(part.part) == path:
            raise ResultError(f"{path} is named twice: name every part once")
        if part.part in files:
            raise ResultError(f"{files[part.part]} and {path} are both part {part.part}: leave one out")
        files[part.part] = path
    missing = [f"{k}/{first.of}" for k in range(1, first.of + 1) if k not in files]
    if missing:
        raise ResultError(f"missing {'part' if len(missing) == 1 else 'parts'} {listed(missing)}: measure the rest")
    measured: set[str] = set()
    in_order = sorted(parts, key=lambda part: part.part)
    for part in in_order:
        double = next((key for key in part.values if key in measured), None)
        if double is not None:
            raise ResultError(f"{files[part.part]} holds what another part has measured ({double}): measure it again")
        measured |= part.values.keys()
    return MergedValues({files[part.part]: part for part in in_order}), first


class Frame(Protocol):
    """A result but for what is measured.

    Attributes:
        items: how many items there are.
        groups: their keys, those that are measured together in a list.
    """

    @property
    def items(self) -> int: ...  # noqa: D102 - said above
    @property
    def groups(self) -> list[list[str]]: ...  # noqa: D102 - said above


def check_complete(values: Values, frame: Frame, *, besides: tuple[str, ...]) -> None:
    """Check that all that belongs to a measurement was measured, and nothing else.

    Args:
        values: what was.
        frame: what belongs to it.
        besides: the ends of keys of what is kept besides.

    Raises:
        ResultError: naming what is missing, or does not belong there.
    """
    measured = {key for key in values if not key.endswith(besides)}
    if frame.items != len(measured):  # before keys are made of numbers from a file
        raise ResultError(f"{len(measured)} items were measured of {frame.items}: measure the parts again")
    keys = {key for group in frame.groups for key in group}
    if keys != measured:
        raise ResultError(f"not measured in any part: {listed(sorted(keys - measured))}: measure the parts again")
