"""How users name models: `resnet20?width=32`, `torchvision:resnet18?num_classes=10`, `package.module:factory?arg=1`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from landscape_cli.errors import ModelError, shown

if TYPE_CHECKING:
    from landscape_cli.network import ModelSpec

TORCHVISION = "torchvision:"
DOWNLOADING = ("weights", "pretrained")
PYTHON_WORDS = {"True": True, "False": False, "None": None}
ERRORS = "surrogatepass"
"""Text may hold halves of surrogates, as JSON can."""
SAFE = "/:,+[]{}\"' "
HOW = "torchvision:NAME?num_classes=10, or package.module:factory?argument=1 for code of yours"


@dataclass(frozen=True)
class ModelRequest:
    """A model as a user names it.

    Attributes:
        name: a name in the registry, `torchvision:NAME`, or `package.module:factory`.
        arguments: keyword arguments, as JSON values.
    """

    name: str
    arguments: Mapping[str, Any]


def parse_request(text: str) -> ModelRequest:
    """Read `NAME?argument=value&argument=value`; values are JSON where they parse, else text; %26 is an ampersand.

    Raises:
        ModelError: if it is malformed, or an argument asks for weights to be downloaded.
    """
    name, _, query = text.partition("?")
    if not name or not name.isprintable() or any(part.isspace() for part in name):
        raise ModelError(f"`model=` {shown(text)!r} names no model: write {HOW}")
    arguments: dict[str, Any] = {}
    for part in query.split("&") if query else ():
        key, equals, value = part.partition("=")
        key = unquote(key, errors=ERRORS)
        if not equals or not key.isidentifier():
            raise ModelError(
                f"`model=` {shown(text)!r}: {shown(part)!r} is no argument: write name=value after the '?', several "
                "joined by '&'"
            )
        if key in arguments:
            raise ModelError(f"`model=` {shown(text)!r} gives the argument {shown(key)!r} twice: leave one out")
        arguments[key] = _value(unquote(value, errors=ERRORS))
    refuse_downloads(name, arguments)
    return ModelRequest(name, arguments)


def format_request(name: str, arguments: Mapping[str, Any]) -> str:
    """Return the text that `parse_request` reads back as this model."""
    parts = []
    for key, value in arguments.items():
        # Text that would be read as something else is written as a JSON string.
        plain = isinstance(value, str) and _value(value) == value
        text = value if plain else json.dumps(value, separators=(",", ":"))
        parts.append(f"{quote(key, errors=ERRORS)}={quote(text, safe=SAFE, errors=ERRORS)}")
    return f"{name}?{'&'.join(parts)}" if parts else name


def describe_model(spec: ModelSpec) -> str:
    """Return a model with its sizes, in words."""
    shape = "x".join(map(str, spec.input_shape))
    options = ", ".join(f"{key}={value}" for key, value in sorted(spec.arguments.items()))
    return f"{shown(spec.name)}({shown(options)}) from {shape} to {spec.outputs}"


def needs_code(name: str) -> bool:
    """Tell whether a model is made by code that only the user may name."""
    return ":" in name and not name.startswith(TORCHVISION)


def refuse_downloads(name: str, arguments: Mapping[str, Any]) -> None:
    """Refuse arguments by which factories fetch weights: the weights come from the user's file.

    Raises:
        ModelError: naming the argument.
    """
    for key, value in arguments.items():
        if key.split("_")[0] in DOWNLOADING and value is not None and value is not False and ":" in name:
            raise ModelError(
                f"the argument {shown(key)!r} of {shown(name)!r} would fetch weights, but those come from your file: "
                "leave it out"
            )


def _value(text: str) -> Any:
    if text in PYTHON_WORDS:
        return PYTHON_WORDS[text]
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return text if isinstance(value, float) and not math.isfinite(value) else value
