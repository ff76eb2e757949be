"""Names from files, metadata and paths move nothing in a terminal, are no markup, and harm nobody who copies advice."""

from __future__ import annotations

import csv
import io
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from landscape_cli.cli.console import make_progress
from landscape_cli.cli.tables import print_table
from landscape_cli.errors import escaped
from landscape_cli.io.checkpoint import Checkpoint, write_checkpoint
from landscape_cli.io.results import Result
from landscape_cli.network import ModelSpec
from tests.conftest import Outcome

Landscape = Callable[..., Outcome]
HOSTILE = "a\x1b]0;x\x07\x9b2J\u202eb\nc[red]:bomb:[/red] '$(touch pwned)' ; touch pwned ; `touch pwned`"
PARAMS = {"fc1.weight": torch.ones(2, 3), "fc1.bias": torch.ones(2)}
PARAMS |= {"fc2.weight": torch.ones(1, 2), "fc2.bias": torch.ones(1)}
MLP = ModelSpec("mlp", {"hidden": [2], "bias": True}, (3,), 1)


@pytest.fixture(autouse=True)
def _nothing_is_run() -> Iterator[None]:
    yield
    assert not Path("pwned").exists()


def check_harmless(outcome: Outcome) -> None:
    for line in f"{outcome.out}\n{outcome.err}".splitlines():
        assert line.isprintable(), line
    assert "\N{BOMB}" not in outcome.out + outcome.err


def words_to_copy(message: str, start: str) -> list[str]:
    """Return how a shell would read what a message says to add or run, the end being no matter."""
    lexer = shlex.shlex(message[message.index(start) :], posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    return list(lexer)


@pytest.mark.parametrize("hostile", [HOSTILE, "\x1b[2J" * 10**5, "\udcff\ud800", "x" * 10**6])
def test_what_files_say(landscape: Landscape, hostile: str) -> None:
    text = hostile.encode("utf-8", "replace").decode()
    specs = {
        "name": ModelSpec(text, {}, (3,), 1),
        "code": ModelSpec(f"a:b{hostile}", {}, (3,), 1),
        "torchvision": ModelSpec(f"torchvision:{text}", {}, (3,), 1),
        "argument": ModelSpec("mlp", {text: text}, (3,), 1),
        "value": ModelSpec("mlp", {"hidden": text}, (3,), 1),
        "argument of code": ModelSpec("a:b", {"x": hostile}, (3,), 1),
    }
    for name, spec in specs.items():
        write_checkpoint("a.st", Checkpoint(PARAMS, spec, {}), force=True)
        outcome = landscape("distance", "a.st", "a.st")
        assert (outcome.code, outcome.err.count("\n"), len(outcome.err) < 2000) == (2, 1, True), (name, outcome.err)
        check_harmless(outcome)
        if "add --model" in outcome.err:
            assert len(words_to_copy(outcome.err, "add --model")) == len(["add", "--model", "..."]), outcome.err
    sizes = {"latent": 2, "dim": 3, "patterns": 8, "test_patterns": 4, "nonlinearity": text}
    record = {"name": text, "directory": text, "train_size": None, "seed": 0, "hmm": sizes}
    for data in (record, record | {"name": "hmm"}, {"name": "hmm", text: 1}, record | {"seed": text}):
        write_checkpoint("a.st", Checkpoint(PARAMS, MLP, data), force=True)
        outcome = landscape("path", "a.st", "a.st")
        assert (outcome.code, outcome.err.count("\n"), len(outcome.err) < 2000) == (2, 1, True), outcome.err
        check_harmless(outcome)
    write_checkpoint("a.st", Checkpoint(PARAMS | {text: torch.ones(1)}, MLP, {}), force=True)
    check_harmless(landscape("distance", "a.st", "a.st"))
    save_file({text: torch.ones(2)}, "b.st", {"format": text})
    for arguments in (("distance", "b.st", "b.st", "--model", "mlp?outputs=1", "--input-shape", "3"), ("path", "b.st")):
        check_harmless(landscape(*arguments))


def test_names_of_files(landscape: Landscape) -> None:
    names = [HOSTILE.replace("/", "") + ".st", "=1+1.st", "@x.st"]
    for name in names:
        write_checkpoint("a.st", Checkpoint(PARAMS, MLP, {}), force=True)
        os.rename("a.st", name)
    check_harmless(landscape("distance", names[0], os.fsdecode(b"\xff\xfe.st")))
    for form in ("json", "table"):
        outcome = landscape("distance", *names, "--no-functions", "--format", form)
        assert outcome.code == 0, outcome.err
        check_harmless(outcome)
    outcome = landscape("path", names[0], names[1], "--kind", "geodesic")
    check_harmless(outcome)
    words = words_to_copy(outcome.err, "landscape normalize")
    assert words == ["landscape", "normalize", escaped(names[0]), "-o", "FILE"]
    outcome = landscape("normalize", *names, "-o", "no/'; touch pwned; '/x.st")
    check_harmless(outcome)
    check_harmless(landscape("align", "--explain", names[0], "--format", "table"))
    check_harmless(landscape("normalize", names[0], "-o", f"{HOSTILE}/x.st"))
    check_harmless(landscape("distance", f"{HOSTILE}*", names[0]))
    check_harmless(landscape(HOSTILE))
    check_harmless(landscape("distance", f"--{HOSTILE}"))
    check_harmless(landscape("normalize", names[0], "-o", f"{HOSTILE}/x.st", "--debug"))
    outcome = landscape("normalize", names[0], "-o", f"ok{names[0]}")
    assert (outcome.code, "wrote oka\\x1b]" in outcome.err) == (0, True), outcome.err
    check_harmless(outcome)


def test_cells_that_spreadsheets_would_run(landscape: Landscape) -> None:
    names = ["=1+1.st", "@x.st", "+x.st", "./-x.st"]
    for name in names:
        write_checkpoint(name, Checkpoint(PARAMS, MLP, {}))
    for extra in ((), ("--matrix", "euclidean")):
        outcome = landscape("distance", *names, "--no-functions", "--format", "csv", *extra)
        assert outcome.code == 0, outcome.err
        rows = list(csv.reader(io.StringIO(outcome.out.split("\n", 1)[1])))
        for row in rows:
            assert not [cell for cell in row if cell[:1] in ("=", "@", "+")], row
        assert any("'=1+1.st" in row for row in rows)


def test_harmless_cells_stay() -> None:
    """Numbers, and words after a sign; what does not print is escaped."""
    row = {"a": -1.5, "b": "-2e-3", "c": "+gradient", "d": "a\x1b\n\ud800", "e": None, "f": "-A1", "g": "@a", "h": "=a"}
    text = Result({}, [row], {}).to_csv()
    assert text.splitlines()[1:] == ["a,b,c,d,e,f,g,h", "-1.5,-2e-3,+gradient,a\\x1b\\n\\ud800,,'-A1,'@a,'=a"]


def test_tables_and_progress(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(Result({}, [{HOSTILE: HOSTILE, "n": 1}], {}), [HOSTILE])
    out = capsys.readouterr().out
    assert "[red]:bomb:" in out
    check_harmless(Outcome(0, out, ""))
    with make_progress() as bar:
        bar.console.file = sys.stdout
        bar.add_task("[red]:bomb:", total=3, rate="[bold]")
        bar.refresh()
    out = capsys.readouterr().out
    assert "\N{BOMB}" not in out
