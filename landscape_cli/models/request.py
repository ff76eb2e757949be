"""How users name models: `resnet20?width=32`, `torchvision:resnet18?num_classes=10`, `package.module:factory?arg=1`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from landscape_cli.errors import ModelError, shown
from landscape_cli.user_code.request import format_request as format_request
from landscape_cli.user_code.request import parse_named

if TYPE_CHECKING:
    from landscape_cli.network import ModelSpec

TORCHVISION = "torchvision:"
DOWNLOADING = ("weights", "pretrained")
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
    name, arguments = parse_named(text, "model", HOW, ModelError)
    refuse_downloads(name, arguments)
    return ModelRequest(name, arguments)


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
