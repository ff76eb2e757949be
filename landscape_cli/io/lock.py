"""A lock on a file that one process at a time may work with; it dies with its owner."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from landscape_cli.errors import Remark, shown
from landscape_cli.io.atomic import is_still

if TYPE_CHECKING:
    from landscape_cli.errors import LandscapeError

LONGEST = 200
"""The longest name, in bytes, of which the lock's is made as it stands."""


@contextlib.contextmanager
def locked(path: Path, *, what: str, error: type[LandscapeError]) -> Iterator[None]:
    """Hold the lock of `path`, which need not exist; nothing of its owner's is touched where it is taken.

    The lock is a file beside it, removed at the end. What a killed process has left of one is no lock.

    Args:
        path: what only one process may work with.
        what: who else works with it, for the message.
        error: what to raise.

    Raises:
        error: if another process holds the lock.

    Warns:
        Remark: if the file system has no locks.
    """
    name = lock_file(path)
    handle = _acquire(path, name, what, error)
    try:
        yield
    finally:
        if handle is not None:
            _remove(name, handle)


def lock_file(path: Path) -> Path:
    """Return the name of the lock of a file."""
    name = os.fsencode(path.name)
    if len(name) > LONGEST:
        return path.with_name(f".{hashlib.sha256(name).hexdigest()}.lock")
    return path.with_name(f".{path.name}.lock")


def _acquire(path: Path, name: Path, what: str, error: type[LandscapeError]) -> int | None:
    """Return the open lock; None where none can be had."""
    while True:
        try:
            handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        except OSError:
            return None  # a folder that takes no files, which is said where files are checked
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = ""
            with contextlib.suppress(OSError):
                owner = shown(os.read(handle, 100).decode(errors="replace").strip())
            _close(handle)
            raise error(
                f"{path} is in use: {what} ({owner or 'of unknown number'}) is not over: wait for it, or end it; "
                "nothing was changed"
            ) from None
        except OSError as cause:
            _remove(name, handle)
            warnings.warn(
                f"{path.parent} is on a file system without locks ({cause.strerror or cause}): see to it that nothing "
                f"else works with {path.name}",
                Remark,
                stacklevel=4,
            )
            return None
        if is_still(name, handle):  # else its owner has just removed it
            with contextlib.suppress(OSError):
                os.ftruncate(handle, 0)
                os.write(handle, f"process {os.getpid()} on {os.uname().nodename}\n".encode())
            return handle
        _close(handle)


def _remove(name: Path, handle: int) -> None:
    with contextlib.suppress(OSError):
        name.unlink()
    _close(handle)


def _close(handle: int) -> None:
    with contextlib.suppress(OSError):  # a failing disk: a lock holds nothing that could be lost
        os.close(handle)
