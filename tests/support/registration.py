"""The line of registration that a new kind of thing costs, undone after a test."""

from __future__ import annotations

import pytest

from landscape_cli.choices import Choice


def register(patch: pytest.MonkeyPatch, choices: type[Choice], name: str, value: str, home: str) -> Choice:
    """Add `NAME = "value", "home"` to an enum of choices until the patch is undone; return the new choice."""
    choice = str.__new__(choices, value)
    choice._name_, choice._value_, choice.home = name, value, home
    patch.setitem(choices._member_map_, name, choice)  # type: ignore[arg-type]
    patch.setitem(choices._value2member_map_, value, choice)  # type: ignore[arg-type]
    patch.setattr(choices, "_member_names_", [*choices._member_names_, name])
    return choice
