"""Results before pictures, and pictures of files with any name."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from landscape_cli.cli.outputs import make_folder
from landscape_cli.errors import CheckpointError
from landscape_cli.figures import figure
from landscape_cli.io import atomic, results
from tests.support.train_command import SHORT

pytest.importorskip("matplotlib")

NAMES = ("a$^$b.st", "$\\frac{$.st", "a\n\x1b[31m" + os.fsdecode(b"\xff") + ".st")
FAMILY = "f$_$_[123].st"
COMMANDS = {
    "path": ["path", *NAMES[:2], "--points", "3"],
    "odd path": ["path", *NAMES[1:], "--points", "3"],
    "families": ["path", FAMILY, FAMILY, "--pairs", "all", "--points", "3"],
    "plane": ["plane", *NAMES, "--grid", "3"],
    "flatness": ["flatness", *NAMES, "--samples", "2"],
    "radial": ["flatness", *NAMES, "--kind", "radial", "--samples", "2", "--angles", "5,10"],
    "curvature": ["flatness", *NAMES, "--kind", "curvature", "--curvature-samples", "8"],
    "connector": ["path", *NAMES, "--kind", "connector", "--epochs", "1", "--points", "3"],
}


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Three networks."""
    from landscape_cli.cli.app import main

    folder = tmp_path_factory.mktemp("networks")
    with pytest.raises(SystemExit) as stop:
        main([*SHORT, "--runs", "3", "-o", str(folder / "{seed}.st"), "--quiet"])
    assert not stop.value.code
    return {f"{seed}": (folder / f"{seed}.st").read_bytes() for seed in range(3)}


@pytest.fixture
def named(landscape, networks: dict[str, bytes]) -> Callable[..., Any]:
    """The three networks, under odd names."""
    for name, content in zip(NAMES, networks.values(), strict=True):
        Path(name).write_bytes(content)
    for number, content in enumerate(networks.values(), 1):
        Path(f"f$_$_{number}.st").write_bytes(content)
    return landscape


@pytest.mark.parametrize("what", COMMANDS)
@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_no_name_is_a_formula(named, what: str, suffix: str) -> None:
    done = named(*COMMANDS[what], "-o", "r.json", "--plot", f"r.{suffix}")
    assert done.code == 0, done.err
    assert json.loads(Path("r.json").read_text())["provenance"]
    assert Path(f"r.{suffix}").stat().st_size > 1000


@pytest.mark.parametrize("what", COMMANDS)
@pytest.mark.parametrize("fault", ["full", "drawing"])
def test_results_are_safe_before_a_picture_fails(named, monkeypatch: pytest.MonkeyPatch, what: str, fault: str) -> None:
    def full(path: Path, *_: object, error: type[Exception], **__: object) -> None:
        raise error(f"cannot write {path}: No space left on device")

    def broken(*_: object) -> None:
        raise ValueError("one\ntwo")

    if fault == "full":
        monkeypatch.setattr(figure, "write_atomic", full)
    else:
        monkeypatch.setattr(figure, "_write_plainly", broken)
    done = named(*COMMANDS[what], "-o", "r.json", "--plot", "r.png", "-q")
    assert (done.code, done.out) == (2, "")
    words = "cannot write r.png: No space left" if fault == "full" else "r.png cannot be drawn: ValueError: one / two"
    assert done.err.splitlines()[-1].startswith(f"landscape: error: {words}")
    assert json.loads(Path("r.json").read_text())["provenance"]
    assert not Path("r.png").exists()
    if what == "path":
        printed = named(*COMMANDS[what], "--plot", "r.png")
        assert printed.code == 2
        assert json.loads(printed.out) == json.loads(Path("r.json").read_text())


def test_a_picture_is_drawn_whatever_becomes_of_results(named, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(results.Result, "to_json", full)
    done = named(*COMMANDS["path"], "--plot", "r.png")
    assert done.code == 2
    assert "No space left" in done.err
    assert Path("r.png").stat().st_size > 1000


def refuse(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let the disk refuse files of these names."""
    plain = atomic.os.fsync

    def fsync(handle: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{handle}"))
        if any(path.name.startswith(f".{name}.") for name in names):
            raise OSError(28, "No space left on device")
        plain(handle)

    monkeypatch.setattr(atomic.os, "fsync", fsync)


CHAINS = {
    "normalize": (["normalize", *NAMES[:2], FAMILY.replace("[123]", "1"), "--out-dir", "n"], NAMES[1], "n"),
    "align": (["align", *NAMES, "--out-dir", "n", "--permutations", "p.json"], "$\\frac{$_aligned.st", "n"),
    "permutations": (["align", *NAMES, "--out-dir", "n", "--permutations", "p.json"], "p.json", "n"),
    "midpoints": (
        [*COMMANDS["families"], "--optimize-midpoint", "--epochs", "1", "--midpoint-out", "n/{start}-{end}.st"],
        "f$_$_1-f$_$_3.st",
        "n",
    ),
    "vertices": ([*COMMANDS["connector"], "--connector-out", "n/{vertex}.st"], "ac.st", "n"),
}


@pytest.mark.parametrize("what", CHAINS)
def test_where_one_file_cannot_be_written_the_others_are(named, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    command, refused, folder = CHAINS[what]
    Path(folder).mkdir()
    assert named(*command).code == 0
    expected = {path: path.read_bytes() for path in [*Path(folder).iterdir(), *Path().glob("p.json")]}
    assert any(path.name == refused for path in expected)
    for path in expected:
        path.unlink()
    with monkeypatch.context() as patch:
        refuse(patch, refused)
        done = named(*command)
    assert done.code == 2
    assert "No space left on device" in done.err.splitlines()[-1]
    assert done.err.splitlines()[-1].startswith("landscape: error: cannot write ")
    assert json.loads(done.out)["provenance"]
    assert f'"{folder}/{refused}"' not in done.out or what in {"normalize", "align"}
    left = {path: content for path, content in expected.items() if path.name != refused}
    assert {path: path.read_bytes() for path in [*Path(folder).iterdir(), *Path().glob("p.json")]} == left


def test_no_folder_is_made_among_the_systems(named) -> None:
    folder = "/dev/landscape-test.st/n"
    for command in (["normalize", NAMES[0]], ["align", *NAMES[:2]]):
        named(*command, "--out-dir", folder).check_refused("lies in /dev, which is the system's", command)
    with pytest.raises(CheckpointError, match="lies in /dev"):
        make_folder(Path(folder))
    assert not Path(folder).parent.exists()


def test_a_folder_that_cannot_be_made_leaves_the_result(named, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: Path, **_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "mkdir", refused)
    for command in (["normalize", NAMES[0]], ["align", *NAMES[:2]]):
        done = named(*command, "--out-dir", "n")
        assert (done.code, bool(json.loads(done.out)["provenance"])) == (2, True)
        assert done.err.endswith("landscape: error: cannot make the folder n: Input/output error\n")


@pytest.mark.parametrize("place", ["/proc/x", "/proc/none/x"])
def test_folders_that_take_no_files_are_refused_before_any_work(
    named, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    from landscape_cli.models import reader

    monkeypatch.setattr(reader.NetworkReader, "read_all", lambda *_: pytest.fail("work was begun"))
    for command, option, suffix in (
        (["normalize", NAMES[0]], "-o", ".st"),
        (["normalize", NAMES[0]], "--out-dir", ""),
        (["align", *NAMES[:2], "-o", "b.st"], "--permutations", ".json"),
        (["path", *NAMES[:2]], "-o", ".json"),
        (["path", *NAMES[:2]], "--plot", ".png"),
        (["train", "--epochs", "1"], "-o", ".st"),
        (["train", "--epochs", "1", "-o", "t.st"], "--log", ".csv"),
    ):
        done = named(*command, option, f"{place}{suffix}")
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1), (option, done.err)
        words = ("nothing can be written into /proc", "is not a directory", "is the system's")
        assert any(word in done.err for word in words), done.err
