"""Writing files so that nobody ever sees half of one."""

from __future__ import annotations

import contextlib
import glob
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from landscape_cli.errors import quoted
from landscape_cli.io.regular import check_regular

if TYPE_CHECKING:
    from landscape_cli.errors import LandscapeError


def check_output(path: Path, *, force: bool, error: type[LandscapeError]) -> None:
    """Check that `path` may be written: its folder exists and no file is overwritten unasked.

    Raises:
        error: saying what stands in the way.
    """
    if path.is_dir():
        raise error(f"{path} is a directory: name a file in it")
    if not path.parent.is_dir():
        raise error(f"{path.parent} is not a directory: create it first (mkdir -p {quoted(path.parent)})")
    try:
        check_regular(path)
    except OSError as cause:
        raise error(f"cannot write {path}: {cause.strerror}") from cause
    if path.exists() and not force:
        raise error(f"{path} exists already: choose another name, or pass `force=` to replace it")


def write_atomic(path: Path, content: bytes, *, force: bool, error: type[LandscapeError]) -> None:
    """Write `content` to a temporary file in the same folder, flush it to disk, and rename it to `path`.

    Raises:
        error: if the folder is missing, the file exists (without `force`), or the disk refuses.
    """
    check_output(path, force=force, error=error)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".tmp", dir=path.parent)
    except OSError as cause:
        raise error(f"cannot write {path}: {cause.strerror or cause}") from cause
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        _publish(Path(name), path, force=force)
    except FileExistsError as cause:
        raise error(f"{path} exists already: choose another name, or pass `force=` to replace it") from cause
    except OSError as cause:
        raise error(f"cannot write {path}: {cause.strerror or cause}") from cause
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def remove_leftovers(path: Path) -> None:
    """Remove what a killed process may have left of a file that it was about to write."""
    for leftover in path.parent.glob(f".{glob.escape(path.name[:100])}.*.tmp"):
        leftover.unlink(missing_ok=True)


def _publish(temporary: Path, path: Path, *, force: bool) -> None:
    if not force:
        try:
            os.link(temporary, path)  # unlike a rename, refuses to replace what appeared meanwhile
            return
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            if path.exists():
                raise FileExistsError(path) from None
    os.replace(temporary, path)
