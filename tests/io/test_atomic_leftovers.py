"""Whole files, and no litter of the dead."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from landscape_cli.errors import ResultError
from landscape_cli.io import atomic
from landscape_cli.io.atomic import check_room, remove_leftovers, write_atomic

STALE = """
import os, signal, sys
from pathlib import Path
from landscape_cli.errors import ResultError
from landscape_cli.io import atomic
die = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[2] == "publish":
    atomic._publish = die
elif sys.argv[2] == "unlink":
    os.unlink = die
else:
    os.fsync = die
atomic.write_atomic(Path(sys.argv[1]), b"half", force=False, error=ResultError)
"""


def killed(path: Path, moment: str) -> None:
    done = subprocess.run([sys.executable, "-c", STALE, str(path), moment])
    assert done.returncode == -signal.SIGKILL


def write(path: Path, content: bytes = b"whole") -> None:
    write_atomic(path, content, force=True, error=ResultError)


@pytest.mark.parametrize("moment", ["fsync", "publish", "unlink"])
@pytest.mark.parametrize("name", ["r.json", "a[1]*.st", "x" * 150 + ".st"])
def test_the_next_writer_clears_what_the_dead_have_left(tmp_path: Path, moment: str, name: str) -> None:
    killed(tmp_path / name, moment)
    assert [path for path in tmp_path.iterdir() if path.suffix == ".tmp"]
    write(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"whole"


def test_nothing_of_the_living_or_of_others_is_cleared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    others = [
        ".r.json.notes.tmp",
        ".r.json.tmp",
        ".r.json.ABCDEFGH.tmp",
        ".r.json.st.abcdefgh.tmp",
        "r.json.abcdefgh.tmp",
    ]
    for name in others:
        (tmp_path / name).write_text("precious")
    (tmp_path / ".r.json.folder__.tmp").mkdir()
    (tmp_path / "target").write_text("precious")
    (tmp_path / ".r.json.link____.tmp").symlink_to("target")
    os.mkfifo(tmp_path / ".r.json.pipe____.tmp")
    before = {path.name for path in tmp_path.iterdir()}
    begun, go_on = threading.Event(), threading.Event()
    plain = os.fsync

    def slow(handle: int) -> None:
        monkeypatch.setattr(os, "fsync", plain)
        begun.set()
        assert go_on.wait(10)
        plain(handle)

    monkeypatch.setattr(os, "fsync", slow)
    first = threading.Thread(target=write, args=(tmp_path / "r.json", b"first"))
    first.start()
    assert begun.wait(10)
    write(tmp_path / "r.json", b"second")
    remove_leftovers(tmp_path / "r.json")
    go_on.set()
    first.join()
    assert (tmp_path / "r.json").read_bytes() == b"first"
    assert {path.name for path in tmp_path.iterdir()} == before | {"r.json"}


def test_without_locks_files_are_written_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed(tmp_path / "r.json", "fsync")

    def none(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(atomic.fcntl, "flock", none)
    write(tmp_path / "r.json")
    assert (tmp_path / "r.json").read_bytes() == b"whole"
    assert len(list(tmp_path.iterdir())) == 2  # who knows whether its writer is dead


def test_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_room(tmp_path, 1, what="networks", error=ResultError)
    disk = SimpleNamespace(f_bavail=3, f_frsize=1000, f_blocks=10)
    monkeypatch.setattr(os, "statvfs", lambda _: disk)
    check_room(tmp_path, 3000, what="networks", error=ResultError)
    with pytest.raises(ResultError, match="make room"):
        check_room(tmp_path, 3001, what="networks", error=ResultError)
