"""What may be read and replaced: regular files, never a pipe, a socket or a device, on which a program waits."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path
from typing import BinaryIO, cast

KINDS = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
STREAM = re.compile(r"/dev/(stdin|stdout|stderr|fd(/.*)?)|/proc/[^/]+/(task/[^/]+/)?fd(/.*)?")
"""Names of what a process has open: what they lead to depends on who asks, and may be read once only."""


def open_regular(path: str | Path, mode: str = "rb", *, buffering: int = -1) -> BinaryIO:
    """Open a regular file; whatever takes its place in the meantime is not waited for.

    Raises:
        OSError: if it is none, or cannot be opened.
    """
    check_regular(path)
    return cast("BinaryIO", open(path, mode, buffering=buffering, opener=_open_without_waiting))


def _open_without_waiting(name: str, flags: int) -> int:
    handle = os.open(name, flags | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        _check_kind(name, os.fstat(handle).st_mode)
    except OSError:
        os.close(handle)
        raise
    return handle


def check_regular(path: str | Path) -> None:
    """Check that a file, if it is there, is a regular one; folders are left to whoever opens them.

    Raises:
        OSError: saying what it is instead, as opening it would.
    """
    name = os.fspath(path)
    try:
        mode = os.stat(name).st_mode
    except OSError:  # which opening it says better
        mode = 0
    except ValueError as cause:
        raise OSError(errno.EINVAL, "no file can have this name", name) from cause
    _check_kind(name, mode)


def resolved(path: Path) -> Path:
    """Return the file that a name leads to; of a link that leads back to itself, a file that opening it says of."""
    return Path(os.path.realpath(path))


def _check_kind(name: str, mode: int) -> None:
    what = "a stream" if STREAM.fullmatch(os.path.abspath(name)) else KINDS.get(stat.S_IFMT(mode))
    if what is not None:
        raise OSError(errno.EINVAL, f"it is {what}, and only regular files will do: name one", name)
