"""A lock dies with its owner, and nothing of its owner's is touched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from landscape_cli.errors import Remark, TrainingError
from landscape_cli.io import lock
from landscape_cli.io.lock import lock_file, locked

HOLD = """
import sys
from pathlib import Path
from landscape_cli.errors import TrainingError
from landscape_cli.io.lock import locked
with locked(Path(sys.argv[1]), what="another", error=TrainingError):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("name", ["x.st.resume", "n" * 240])
@pytest.mark.parametrize("kill", [True, False])
def test_one_owner_at_a_time(tmp_path: Path, name: str, kill: bool) -> None:
    path = tmp_path / name
    path.write_text("precious")
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdin is not None
        assert owner.stdout.readline() == b"held\n"
        with (
            pytest.raises(TrainingError, match=f"is in use: another .process {owner.pid} on .* is not over"),
            locked(path, what="another", error=TrainingError),
        ):
            pass
        assert {each.name for each in tmp_path.iterdir()} == {name, lock_file(path).name}
        if kill:
            owner.kill()
        owner.stdin.close()
        owner.wait()
    assert lock_file(path).exists() == kill
    for _ in range(2):
        with locked(path, what="another", error=TrainingError):
            assert lock_file(path).read_text().startswith(f"process {os.getpid()} on ")
    assert [each.name for each in tmp_path.iterdir()] == [name]
    assert path.read_text() == "precious"


@pytest.mark.filterwarnings("ignore:.*without locks")
@pytest.mark.parametrize("call", ["flock", "none"])
def test_a_disk_that_fails_leaves_no_lock(call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing tells what the disk has failed to do before; of a lock nothing can be lost."""
    close = os.close

    def failing(handle: int) -> None:
        close(handle)
        raise OSError(5, "Input/output error")

    def no_lock(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(lock.os, "close", failing)
    if call == "flock":
        monkeypatch.setattr(lock.fcntl, "flock", no_lock)
    with locked(tmp_path / "x", what="another", error=TrainingError):
        pass
    assert not list(tmp_path.iterdir())


def test_where_there_are_no_locks_a_remark_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(lock.fcntl, "flock", none)
    with pytest.warns(Remark, match="without locks"), locked(tmp_path / "x", what="another", error=TrainingError):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_somebody_elses_error(tmp_path: Path) -> None:
    with locked(tmp_path / "none" / "x", what="another", error=TrainingError):
        pass
