"""What is written in place of what: modes, links, the system's folders."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import pytest

from landscape_cli.errors import ResultError
from landscape_cli.io import atomic
from landscape_cli.io.atomic import check_output, write_atomic


def write(path: Path, *, force: bool = True) -> None:
    write_atomic(path, b"new", force=force, error=ResultError)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o444])
def test_the_mode_of_what_is_replaced_stays(mode: int) -> None:
    path = Path("x.st")
    path.write_text("old")
    path.chmod(mode)
    write(path)
    assert (path.read_text(), path.stat().st_mode & 0o7777) == ("new", mode)
    umask = os.umask(0o027)
    try:
        write(Path("y.st"))
    finally:
        os.umask(umask)
    assert Path("y.st").stat().st_mode & 0o7777 == 0o640


def test_what_is_written_is_not_lost_for_its_mode_or_at_closing(monkeypatch: pytest.MonkeyPatch) -> None:
    """All is on the disk by then."""

    class Refusing:
        def __init__(self, file: BinaryIO) -> None:
            self.file = file

        def __getattr__(self, name: str) -> object:
            return getattr(self.file, name)

        def close(self) -> None:
            self.file.close()
            raise OSError(122, "Disk quota exceeded")

    def chmod(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    plain = atomic._open_temporary
    monkeypatch.setattr(os, "chmod", chmod)
    monkeypatch.setattr(atomic, "_open_temporary", lambda path: (Refusing((opened := plain(path))[0]), opened[1]))
    write(Path("x.st"))
    write(Path("x.st"))
    assert [(path.name, path.read_text()) for path in Path().iterdir()] == [("x.st", "new")]


@pytest.mark.parametrize("steps", [1, 2])
def test_a_link_stays_and_its_file_is_replaced(steps: int) -> None:
    Path("far").mkdir()
    real = Path("far/real.st")
    real.write_text("old")
    real.chmod(0o600)
    previous = real
    for k in range(steps):
        link = Path(f"link{k}.st")
        link.symlink_to(previous)
        previous = link
    with pytest.raises(ResultError, match="exists already"):
        write(previous, force=False)
    write(previous)
    assert previous.is_symlink()
    assert (real.read_text(), real.stat().st_mode & 0o7777) == ("new", 0o600)
    assert [path.name for path in Path("far").iterdir()] == ["real.st"]


def test_a_link_to_nothing() -> None:
    """What it leads to is made, as a shell does; before any work it is known whether that can be."""
    Path("link.st").symlink_to("real.st")
    write(Path("link.st"), force=False)
    assert Path("real.st").read_text() == "new"
    Path("lost.st").symlink_to("nowhere/real.st")
    Path("circle.st").symlink_to("circle.st")
    for name, words in (("lost.st", "folder does not exist"), ("circle.st", "back to itself")):
        with pytest.raises(ResultError, match=words):
            check_output(Path(name), force=True, error=ResultError)


@pytest.mark.parametrize("path", ["/dev/null.st", "/dev/x.json", "/proc/x.json", "/sys/x.st", "linked/x.st", "here.st"])
def test_the_systems_folders_are_refused(path: str) -> None:
    Path("linked").symlink_to("/dev")
    Path("here.st").symlink_to("/dev/here.st")
    with pytest.raises(ResultError, match=r"is the system's"):
        check_output(Path(path), force=True, error=ResultError)
    assert not os.path.exists("/dev/null.st")


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="no shared memory here")
def test_shared_memory_is_a_folder_as_others() -> None:
    check_output(Path("/dev/shm/landscape-test.st"), force=False, error=ResultError)


def test_what_is_there_is_refused_before_any_work() -> None:
    Path("x.st").write_text("precious")
    with pytest.raises(ResultError, match="exists already"):
        check_output(Path("x.st"), force=False, error=ResultError)
    check_output(Path("x.st"), force=True, error=ResultError)


def test_what_appears_at_the_last_moment_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is there after all that is checked, and before the name is given."""
    monkeypatch.setattr(os, "fsync", lambda _: Path("x.st").write_text("precious"))
    with pytest.raises(ResultError, match="exists already"):
        write(Path("x.st"), force=False)
    assert [(path.name, path.read_text()) for path in Path().iterdir()] == [("x.st", "precious")]


def test_a_folder_that_takes_no_files_is_refused_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(atomic.tempfile, "TemporaryFile", refused)
    with pytest.raises(ResultError, match=r"nothing can be written into . \(Read-only file system\)"):
        check_output(Path("x.st"), force=False, error=ResultError)
