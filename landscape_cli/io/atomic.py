"""Writing files so that nobody ever sees half of one."""

from __future__ import annotations

import contextlib
import glob
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

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
        raise error(f"{path.parent} is not a directory: create it first (mkdir -p {path.parent})")
    if path.exists() and not force:
        raise error(f"{path} exists already: choose another name, or pass `force=` to replace it")


def write_atomic(path: Path, content: bytes, *, force: bool, error: type[LandscapeError]) -> None:
    """Write `content` to a temporary file in the same folder, flush it to disk, and rename it to `path`.

    Raises:
        error: if the folder is missing, the file exists (without `force`), or the disk refuses.
    """
    write_set([(path, content)], force=force, error=error)


def write_set(files: Iterable[tuple[Path, bytes]], *, force: bool, error: type[LandscapeError]) -> None:
    """Write several files as `write_atomic` does one: none gets its name before all are on the disk.

    Args:
        files: their names and contents, one in memory at a time.
        force: whether existing files may be replaced.
        error: what to raise.

    Raises:
        error: if a folder is missing, a file exists (without `force`), or the disk refuses; nothing is written then.
    """
    temporaries: dict[Path, Path] = {}
    try:
        for path, content in files:
            check_output(path, force=force, error=error)
            with _errors_of(path, error):
                _stage(path, content, temporaries)
        for path, temporary in temporaries.items():
            with _errors_of(path, error):
                _publish(temporary, path, force=force)
    finally:
        for temporary in temporaries.values():
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _errors_of(path: Path, error: type[LandscapeError]) -> Iterator[None]:
    """Say of which file an error of the disk is."""
    try:
        yield
    except FileExistsError as cause:
        raise error(f"{path} exists already: choose another name, or pass `force=` to replace it") from cause
    except OSError as cause:
        raise error(f"cannot write {path}: {cause.strerror or cause}") from cause


def _stage(path: Path, content: bytes, temporaries: dict[Path, Path]) -> None:
    """Write a temporary file beside `path`, of which note is taken as soon as it is there."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".tmp", dir=path.parent)
    temporaries[path] = Path(name)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    umask = os.umask(0)
    os.umask(umask)
    os.chmod(name, 0o666 & ~umask)


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
