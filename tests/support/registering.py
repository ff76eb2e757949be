"""One more choice of those in `choices.py`, as its line there would make it, and undone afterwards."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from landscape_cli.choices import Choice
from landscape_cli.cli.app import build_command

ROOT = Path(__file__).parents[2]


def add_choice(choices: type[Choice], name: str, value: str, home: str) -> Choice:
    """Add a member, as `NAME = "value", "package.module:attribute"` in the class does."""
    member = str.__new__(choices, value)
    member._value_, member._name_, member.home = value, name, home
    member._sort_order_ = len(choices)
    choices._member_map_[name] = choices._value2member_map_[value] = member
    choices._member_names_.append(name)
    return member


@contextmanager
def registered(choices: type[Choice], name: str, value: str, home: str) -> Iterator[Choice]:
    """Add a member for as long as this lasts."""
    try:
        build_command.cache_clear()
        yield add_choice(choices, name, value, home)
    finally:
        build_command.cache_clear()
        choices._member_names_.remove(name)
        del choices._member_map_[name], choices._value2member_map_[value]


def run_with_choice(line: tuple[str, str, str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, with one choice more: class, name, value, home."""
    code = (
        "import sys; from landscape_cli import choices; from tests.support.registering import add_choice; "
        f"add_choice(getattr(choices, {line[0]!r}), *{line[1:]!r}); "
        "from landscape_cli.cli.app import main; main(sys.argv[1:])"
    )
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
