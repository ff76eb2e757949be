"""Settings of samplers that are options: what a sampler's file says of them, for whoever shows and reads them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cache
from typing import TYPE_CHECKING, Any, get_type_hints

if TYPE_CHECKING:
    from landscape_cli.choices import Choice

KEY = "option"


@dataclass(frozen=True)
class Option:
    """A setting that is an option.

    Attributes:
        setting: the field's name.
        name: the option's name, by which messages and provenance know it; samplers may share one.
        kind: the type of its values.
        default: its value where it is not given.
        help: what it is, as a phrase that ends with a full stop.
        shown: its default in words.
        choices: the enum of its values, if they are a few words.
        read: makes a value of the text that was given, where that is more than `kind` would; may raise `ValueError`
            with a message that names the option.
        metavar: what to show in place of a value.
    """

    setting: str
    name: str
    kind: Any
    default: Any
    help: str
    shown: str
    choices: type[Choice] | None = None
    read: Callable[[str], Any] | None = None
    metavar: str | None = None


def option(
    default: Any,
    help: str,
    *,
    name: str = "",
    shown: str = "",
    choices: type[Choice] | None = None,
    read: Callable[[str], Any] | None = None,
    metavar: str | None = None,
) -> Any:
    """Return a field of a sampler's settings that is an option too; the arguments are the attributes of `Option`.

    Args:
        default: the setting's value where it is not given.
        help: what it is.
        name: the option's name, if it is not the field's.
        shown: the default in words, if it is not the value itself.
        choices: the enum of its values, if they are a few words.
        read: makes a value of text.
        metavar: what to show in place of a value.
    """
    said = {"help": help, "name": name, "shown": shown, "choices": choices, "read": read, "metavar": metavar}
    return field(default=default, metadata={KEY: said})


@cache
def options_of(settings: type) -> tuple[Option, ...]:
    """Return the options among the fields of a dataclass, in their order."""
    declared = [each for each in fields(settings) if KEY in each.metadata]
    hints = get_type_hints(settings) if declared else {}
    options = []
    for each in declared:
        said = dict(each.metadata[KEY])
        said["name"] = said["name"] or each.name
        said["shown"] = said["shown"] or _shown(each.default)
        options.append(Option(each.name, kind=hints[each.name], default=each.default, **said))
    return tuple(options)


def _shown(default: Any) -> str:
    if isinstance(default, bool) or default is None:
        return ""
    return f"{default:g}" if isinstance(default, float) else str(getattr(default, "value", default))
