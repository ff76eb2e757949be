"""Standard output and error closed, full, without a reader or of a small alphabet: results come first."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.test_app import TRAIN, trained  # noqa: F401 - a fixture
from tests.support.forks import serving

pytestmark = pytest.mark.usefixtures("trained")
NEW = shlex.join([sys.executable, "-m", "landscape_cli"])
PATH = "path 1.st 2.st --points 3"


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Run a command line in which `landscape` is the program; exit codes of a pipe are printed last."""

    def run(line: str, program: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        script = f'landscape() {{ {program or forked} "$@"; }}\n{line}'
        settings = " ".join(f"export {name}={value};" for name, value in environment.items())
        return subprocess.run(
            ["bash", "-c", f"{settings}\n{script}"], capture_output=True, text=True, errors="replace", check=False
        )

    with serving(tmp_path_factory.mktemp("serving")) as forked:
        yield run


def test_closed_stderr_sends_messages_nowhere(shell) -> None:
    done = shell(f"landscape {PATH} 2>&-")
    assert done.returncode == 0
    assert json.loads(done.stdout)["kind"] == "linear"
    done = shell(f"landscape {PATH} -o all.json <&- >&- 2>&-", NEW)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert json.loads(Path("all.json").read_text())["kind"] == "linear"
    refused = shell("landscape path no.st 2.st 2>&-")
    assert (refused.returncode, refused.stdout, refused.stderr) == (2, "", "")


@pytest.mark.parametrize(
    "command",
    [f"{PATH} -o r.json", "normalize 1.st -o r.st", "align 1.st 2.st -o r.st", f"{' '.join(TRAIN)} -o r.st"],
)
def test_closed_stdout_with_a_file(shell, command: str) -> None:
    done = shell(f"landscape {command} >&-")
    assert (done.returncode, "error: " in done.stderr) == (0, False), done.stderr
    assert len(list(Path().glob("r.*"))) == 1


def test_closed_stdout_without_a_file_is_refused_before_any_work(shell) -> None:
    done = shell("landscape path no.st such.st >&-")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "standard output is closed" in done.stderr


@pytest.mark.parametrize("command", [PATH, "--help", "train --help", "align --explain 1.st", "--version"])
def test_full_stdout(shell, command: str) -> None:
    done = shell(f"landscape {command} -q >/dev/full" if "-" not in command[:2] else f"landscape {command} >/dev/full")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "No space left" in done.stderr


@pytest.mark.parametrize(("form", "points"), [("json", 700), ("csv", 2500), ("table", 1400)])
def test_a_reader_that_left(shell, form: str, points: int) -> None:
    done = shell(f"landscape path 1.st 2.st --points {points} -q --format {form} | true; echo ${{PIPESTATUS[0]}}")
    assert (done.stdout, done.stderr) == ("141\n", "")


@pytest.mark.parametrize("command", ["--help", "train --help", "align --explain 1.st --format table"])
def test_a_reader_of_help_that_left(shell, command: str) -> None:
    done = shell(f"landscape {command} | true; echo ${{PIPESTATUS[0]}}")
    assert (done.stdout, done.stderr) == ("141\n", "")


@pytest.mark.parametrize(
    ("line", "code"),
    [(f"landscape {PATH} >/dev/full", 2), (f"landscape {PATH} | true; exit ${{PIPESTATUS[0]}}", 141)],
    ids=["full", "no reader"],
)
def test_a_new_process_does_the_same(shell, line: str, code: int) -> None:
    new, forked = shell(line, NEW), shell(line)
    assert (new.returncode, new.stdout, new.stderr) == (forked.returncode, forked.stdout, forked.stderr)
    assert new.returncode == code


@pytest.mark.parametrize("encoding", ["latin-1", "ascii:strict"])
def test_letters_that_an_encoding_lacks(shell, encoding: str) -> None:
    for command in ("train --help", "flatness --help", f"{PATH} --format table"):
        done = shell(f"landscape {command}", PYTHONIOENCODING=encoding)
        assert (done.returncode, "error:" in done.stderr) == (0, False), done.stderr
