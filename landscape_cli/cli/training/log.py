"""The log of a training: a line for every epoch in a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, BinaryIO

from landscape_cli.cli.console import say
from landscape_cli.errors import ResultError
from landscape_cli.io.atomic import check_output, remove_leftovers, write_atomic
from landscape_cli.io.regular import open_regular
from landscape_cli.samplers.records import EpochRecord


def check_log(
    log: Path | None, records: Sequence[EpochRecord] | None, replicas: int, *, force: bool, resume: bool
) -> None:
    """Check that the log can be written, and is no other training's.

    That of the training which is resumed holds what its state has seen and perhaps more, or a part of that, where its
    process was killed or its disk was full: it is completed.

    Args:
        log: the file, if any.
        records: what the state that is resumed has seen; None to begin.
        replicas: of each run.
        force: whether an existing file may be replaced.
        resume: whether an existing file may be completed.

    Raises:
        ResultError: if it cannot be written, or is of another training.
    """
    if log is None:
        return
    if not (resume and log.is_file()):
        check_output(log, force=force, error=ResultError)
        return
    check_output(log, force=True, error=ResultError)
    seen = _text(records or (), replicas).encode()
    content = _content(log, len(seen) + (records is None))  # without a state, no line may be there
    if force or seen.startswith(content):
        return
    if records is None:
        check_output(log, force=False, error=ResultError)
    raise ResultError(f"{log} is not the log of this training: choose another name, or pass --force to replace it")


def _content(log: Path, most: int | None = None) -> bytes:
    """Return the content of a log, or its beginning.

    Raises:
        ResultError: if it cannot be read.
    """
    try:
        with open_regular(log) as file:
            return file.read(-1 if most is None else most)
    except OSError as cause:
        raise ResultError(f"cannot read the log {log}: {cause.strerror or cause}") from cause


class EpochLog:
    """A CSV file with a line for every record, whole lines at any time.

    It is made whole, with what the state that training goes on from has seen, and then appended to: at no time does it
    hold less. Where the disk refuses lines they are kept, and tried again with the next.
    """

    def __init__(self, path: Path, replicas: int, *, force: bool) -> None:
        """Take note of the file, and whether to replace it."""
        self._path, self._replicas, self._force = path, replicas, force
        self._file: BinaryIO | None = None
        self._waiting = _text((), replicas).encode()
        self._length = 0
        self._failure = ""

    def __enter__(self) -> EpochLog:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._write()
            self._file.close()

    def begin(self) -> None:
        """Make the file, with all records so far, or go on with the one that holds them; once.

        Raises:
            ResultError: if it cannot be made.
        """
        if self._file is not None:
            return
        seen = self._waiting
        there = _content(self._path) if self._path.is_file() else None
        try:
            if there is None or not there.startswith(seen):
                is_part = there is not None and seen.startswith(there)
                write_atomic(self._path, seen, force=self._force or is_part, error=ResultError)
            remove_leftovers(self._path)
            self._file = open_regular(self._path, "r+b", buffering=0)
            self._length = len(seen)
            self._file.truncate(self._length)
            self._file.seek(self._length)
        except OSError as cause:
            raise ResultError(f"cannot write the log {self._path}: {cause.strerror or cause}") from cause
        self._waiting = b""

    def add(self, record: EpochRecord) -> None:
        """Write a line; one of an earlier process belongs to the beginning."""
        self._waiting += _text([record], self._replicas, header=False).encode()
        if self._file is not None:
            self._write()

    def check_complete(self) -> None:
        """Check that every line was written.

        Raises:
            ResultError: if not.
        """
        if self._waiting and self._failure:
            lines = self._waiting.count(b"\n")
            raise ResultError(f"the log {self._path} lacks its last {lines} lines: {self._failure}")

    def _write(self) -> None:
        """Write what waits, whole lines or nothing."""
        assert self._file is not None
        try:
            written = 0
            while written < len(self._waiting):
                written += self._file.write(self._waiting[written:])
        except OSError as cause:
            with suppress(OSError):
                self._file.truncate(self._length)
            self._file.seek(self._length)
            if not self._failure:
                reason = cause.strerror or cause
                say(f"warning: the log {self._path} cannot be written now ({reason}): training goes on")
            self._failure = cause.strerror or str(cause)
            return
        self._length += len(self._waiting)
        self._waiting, self._failure = b"", ""


PER_REPLICA = {"replica_errors": "error", "replica_distances": "distance"}


def _columns(replicas: int) -> list[str]:
    """Return the columns of the log: those of replicas have one each."""
    coupled = {*PER_REPLICA, "merge_epoch"}
    plain = [field.name for field in fields(EpochRecord) if field.name not in coupled]
    numbers = range(1, replicas + 1) if replicas > 1 else ()
    plain += ["merge_epoch"] if replicas > 1 else []
    return plain + [f"replica{number}_{name}" for number in numbers for name in PER_REPLICA.values()]


def _text(records: Sequence[EpochRecord], replicas: int, *, header: bool = True) -> str:
    """Return the lines of records."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _columns(replicas), lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(_row(record) for record in records)
    return text.getvalue()


def _row(record: EpochRecord) -> dict[str, Any]:
    values = asdict(record)
    for key, name in PER_REPLICA.items():
        values |= {f"replica{number}_{name}": value for number, value in enumerate(values.pop(key), 1)}
    if not record.replica_distances:
        values.pop("merge_epoch")
    return {key: "" if value is None else value for key, value in values.items()}
