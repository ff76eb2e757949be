"""Registering a choice for the length of a test, as a line in `choices.py` does for good."""

from __future__ import annotations

import pytest

from landscape_cli.choices import Choice


def register(monkeypatch: pytest.MonkeyPatch, choices: type[Choice], value: str, home: str) -> None:
    """Add a choice to an enumeration, as `NAME = "value", "home"` would; `monkeypatch` takes it away again."""
    member = str.__new__(choices, value)
    name = value.upper().replace("-", "_")
    member._name_, member._value_, member.home = name, value, home
    monkeypatch.setitem(choices._member_map_, name, member)
    monkeypatch.setitem(choices._value2member_map_, value, member)
    monkeypatch.setattr(choices, "_member_names_", [*choices._member_names_, name])
