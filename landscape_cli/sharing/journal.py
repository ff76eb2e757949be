"""What an interrupted measurement has come to: values in a file, line by line, of which a kill costs the last one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from landscape_cli.errors import ResultError, listed, shown
from landscape_cli.io.atomic import check_output, remove_leftovers, write_atomic
from landscape_cli.io.lock import locked
from landscape_cli.io.records import RecordError, digest, parse_json
from landscape_cli.io.regular import open_regular
from landscape_cli.sharing.share import Values

FORMAT = "landscape/journal/1"
REMEDY = "repeat the command as it was, or remove the file to begin anew"


class Journal:
    """The values of one measurement in a file, which only one process works with.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        """Remember where, and what makes this measurement this one, as JSON values."""
        self.path, self._identity = path, identity
        self._file: BinaryIO | None = None

    @contextmanager
    def open(self) -> Iterator[Values]:
        """Hold the file, and yield the values that are in it; a line that was cut off by a kill is written over.

        Raises:
            ResultError: if it is in use, of another measurement, no such file, or cannot be written.
        """
        with locked(self.path, what="another measurement that writes it", error=ResultError):
            check_output(self.path, force=True, error=ResultError)
            if not self.path.exists():
                header = {"format": FORMAT, "identity": self._identity}
                write_atomic(self.path, _line(header), force=True, error=ResultError)
            values, end = read_journal(self.path, self._identity)
            try:
                self._file = open(self.path, "r+b", buffering=0)  # noqa: SIM115 - as long as the measurement takes
                self._file.truncate(end)
                self._file.seek(end)
            except OSError as cause:
                raise ResultError(f"cannot write {self.path}: {cause.strerror or cause}") from cause
            try:
                yield values
            finally:
                with suppress(OSError):  # what it tells of, each line was told of
                    self._file.close()

    def keep(self, values: Values) -> None:
        """Write values to the file's end.

        Raises:
            ResultError: if the disk refuses; what was written before is still there.
        """
        assert self._file is not None
        line = line_of(values)
        start = self._file.tell()
        try:
            if self._file.write(line) < len(line):
                raise OSError("the disk is full")
        except OSError as cause:
            with suppress(OSError):  # a line that is cut off is written over
                self._file.truncate(start)
            raise ResultError(
                f"cannot write {self.path}: {cause.strerror or cause}: what was measured before is safe there; make "
                "room, and repeat the command"
            ) from cause

    def remove(self) -> None:
        """Remove the file, and what a killed process may have left of one."""
        remove_leftovers(self.path)
        self.path.unlink(missing_ok=True)


def read_journal(path: Path, identity: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """Return the values in a file, and where the last whole line ends.

    Args:
        path: the file.
        identity: of the measurement that it must be of.

    Raises:
        ResultError: if it is of another, or no such file.
    """
    try:
        with open_regular(path) as file:
            content = file.read()
    except OSError as cause:
        raise ResultError(f"cannot read {path}: {cause.strerror or cause}") from cause
    end = content.rfind(b"\n") + 1
    first, *lines = content[:end].split(b"\n")[:-1] or [b""]
    try:
        header = parse_json(first)
        if not isinstance(header, dict) or header.get("format") != FORMAT:
            raise RecordError("its first line says something else")
    except RecordError as cause:
        raise ResultError(f"{path} is damaged, or no partial result ({cause}): remove it to begin anew") from cause
    check_same(header.get("identity"), identity, str(path), REMEDY)
    values: dict[str, Any] = {}
    changed = []
    for number, line in enumerate(lines, 2):
        some = _values_of(line)
        if some is None:
            changed.append(number)
        else:
            values |= some
    if changed:
        raise ResultError(
            f"{path} is damaged: line {listed(changed)} is not as it was written: remove such a line to have what it "
            "held measured again, and all else kept, or the file to begin anew"
        )
    return values, end


def _values_of(line: bytes) -> dict[str, Any] | None:
    """Return the values that a line keeps; None if it is not as it was written."""
    try:
        some = parse_json(line)
    except RecordError:
        return None
    if not isinstance(some, dict) or not isinstance(values := some.get("values"), dict):
        return None
    return values if some.get("digest") == digest(values) else None


def check_same(other: Any, identity: Any, what: str, remedy: str) -> None:
    """Check that a measurement is the one it has to be.

    Args:
        other: what it says of itself, as JSON values.
        identity: what it has to say.
        what: what says so, such as a file.
        remedy: what to do if it is another.

    Raises:
        ResultError: naming the first thing that differs.
    """
    difference = next(_differences(other, identity), None)
    if difference is not None:
        name, was, now = difference
        raise ResultError(f"{what} is of another measurement ({shown(name)} is {was} there, and {now} here): {remedy}")


def _differences(other: Any, identity: Any, name: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield what differs of JSON values: its name, and what it is in the first and in the second."""
    if isinstance(other, dict) and isinstance(identity, dict):
        for key in dict.fromkeys([*identity, *other]):
            yield from _differences(other.get(key), identity.get(key), f"{name}.{key}" if name else key)
    elif type(other) is not type(identity) or other != identity:
        was, now = ("nothing" if each is None else shown(str(each)) for each in (other, identity))
        yield name or "it", was, now


def line_of(values: Values) -> bytes:
    """Return the line that keeps values, with a digest that tells whether it was changed since."""
    return _line({"values": values, "digest": digest(values)})


def _line(values: Mapping[str, Any]) -> bytes:
    return f"{json.dumps(values, allow_nan=False)}\n".encode()
