"""The documentation keeps up with the code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from landscape_cli.cli.app import COMMANDS

ROOT = Path(__file__).parent.parent
NAMES = [command.__name__ for command in COMMANDS]
BLOCK_TORCH = "import sys; sys.modules['torch'] = None; from landscape_cli.cli.app import main; main(sys.argv[1:])"


def help_of(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", BLOCK_TORCH, *command, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"COLUMNS": "200", "TERMINAL_WIDTH": "200"},
    )
    return done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_help_needs_no_torch_and_shows_examples(name: str) -> None:
    text = help_of(name)
    assert "Examples:" in text
    assert f"  landscape {name} " in text


def test_program_help_lists_every_command() -> None:
    text = help_of()
    assert "Examples:" in text
    assert all(re.search(rf"^  {name} +\S", text, re.MULTILINE) for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_readme_names_every_option(name: str) -> None:
    readme = (ROOT / "README.md").read_text()
    options = set(re.findall(r"(--[a-z][a-z-]+)", help_of(name))) - {"--help"}
    missing = sorted(option for option in options if option not in readme)
    assert not missing
    assert f"`landscape {name}" in readme or f"landscape {name} " in readme


def test_changelog_has_this_version() -> None:
    import landscape_cli

    assert f"## {landscape_cli.__version__}" in (ROOT / "CHANGELOG.md").read_text()
    assert f'version = "{landscape_cli.__version__}"' in (ROOT / "pyproject.toml").read_text()
