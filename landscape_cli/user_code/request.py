"""How users name what their code makes: `package.module:function?argument=value`, and models of any origin likewise."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

from landscape_cli.errors import LandscapeError, shown

PYTHON_WORDS = {"True": True, "False": False, "None": None}
ERRORS = "surrogatepass"
"""Text may hold halves of surrogates, as JSON can."""
SAFE = "/:,+[]{}\"' "


def parse_named(text: str, what: str, how: str, error: type[LandscapeError]) -> tuple[str, dict[str, Any]]:
    """Read `NAME?argument=value&argument=value`; values are JSON where they parse, else text; %26 is an ampersand.

    Args:
        text: what the user wrote.
        what: it names, which is also the parameter.
        how: to write it.
        error: what to raise.

    Returns:
        The name, and the arguments as JSON values.

    Raises:
        LandscapeError: an `error`, if it is malformed.
    """
    name, _, query = text.partition("?")
    if not name or not name.isprintable() or any(part.isspace() for part in name):
        raise error(f"`{what}=` {shown(text)!r} names no {what}: write {how}")
    arguments: dict[str, Any] = {}
    for part in query.split("&") if query else ():
        key, equals, value = part.partition("=")
        key = unquote(key, errors=ERRORS)
        if not equals or not key.isidentifier():
            raise error(
                f"`{what}=` {shown(text)!r}: {shown(part)!r} is no argument: write name=value after the '?', several "
                "joined by '&'"
            )
        if key in arguments:
            raise error(f"`{what}=` {shown(text)!r} gives the argument {shown(key)!r} twice: leave one out")
        arguments[key] = _value(unquote(value, errors=ERRORS))
    return name, arguments


def format_request(name: str, arguments: Mapping[str, Any]) -> str:
    """Return the text that `parse_named` reads back as this name and these arguments."""
    parts = []
    for key, value in arguments.items():
        # Text that would be read as something else is written as a JSON string.
        plain = isinstance(value, str) and _value(value) == value
        text = value if plain else json.dumps(value, separators=(",", ":"))
        parts.append(f"{quote(key, errors=ERRORS)}={quote(text, safe=SAFE, errors=ERRORS)}")
    return f"{name}?{'&'.join(parts)}" if parts else name


def _value(text: str) -> Any:
    if text in PYTHON_WORDS:
        return PYTHON_WORDS[text]
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return text if isinstance(value, float) and not math.isfinite(value) else value
