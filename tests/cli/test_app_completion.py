"""What a shell completes: commands, options and choices, without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from landscape_cli.choices import Algorithm, Kind
from landscape_cli.cli.app import COMMANDS

CODE = """
import contextlib, io, json, os, sys
sys.modules["torch"] = None
from landscape_cli.cli.app import main
found = []
for line in json.loads(sys.argv[1]):
    os.environ |= {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            main([])
        except SystemExit as ended:
            found.append([ended.code, out.getvalue().split()])
print(json.dumps(found))
"""
ASKED = {
    "landscape ": set(COMMANDS),
    "landscape pl": {"plane", "plot"},
    "landscape plot --sur": {"--surface"},
    "landscape path --kind ": {kind.value for kind in Kind},
    "landscape train --algo r": {kind.value for kind in Algorithm if kind.value.startswith("r")},
}


def test_shells_complete_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_LANDSCAPE_COMPLETE", "complete_bash")
    command = [sys.executable, "-c", CODE, json.dumps(list(ASKED))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert {line: (code, set(words)) for line, (code, words) in zip(ASKED, found, strict=True)} == {
        line: (0, words) for line, words in ASKED.items()
    }


def test_the_script_is_shown_and_else_an_exit_is_a_mistake(
    landscape: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    done = landscape("--show-completion", "bash")
    assert (done.code, done.err) == (0, "")
    assert "_LANDSCAPE_COMPLETE=complete_bash" in done.out
    monkeypatch.setattr("landscape_cli.cli.commands.plot.listen", lambda **_: sys.exit(0))
    assert landscape("plot", "x.json", "-o", "x.png").code == 2
