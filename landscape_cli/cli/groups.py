"""Commands whose options come in groups: dataclasses, of which each field is an option, and help in panels."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from copy import copy
from dataclasses import MISSING, fields
from functools import partial, wraps
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, cast, get_args, get_type_hints

import typer
from typer.core import TyperArgument, TyperCommand

from landscape_cli.arguments import decimal_number, whole_number
from landscape_cli.errors import shown

if TYPE_CHECKING:
    from typing_extensions import Self

LARGEST = (1 << 63) - 1


class Group:
    """A group of options that belong together: a frozen dataclass whose fields are options.

    Attributes:
        panel: the heading under which `--help` lists them.
    """

    panel: ClassVar[str] = "Options"

    @classmethod
    def options(cls) -> list[inspect.Parameter]:
        """Return the options as parameters, each with the group's panel unless it has one of its own."""
        options = []
        hints = get_type_hints(cls, include_extras=True)
        for field in fields(cast("Any", cls)):
            kind, info = get_args(hints[field.name])
            info = copy(info)
            info.rich_help_panel = info.rich_help_panel or cls.panel
            annotation: Any = Annotated[kind, info]
            default = inspect.Parameter.empty if field.default is MISSING else field.default
            options.append(
                inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
            )
        return options

    @classmethod
    def take(cls, values: dict[str, Any]) -> Self:
        """Return the group made of its options' values, which leave `values`."""
        return cls(**{field.name: values.pop(field.name) for field in fields(cast("Any", cls))})


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take groups of options as parameters: typer sees the options, the command gets the groups."""
    plain: list[inspect.Parameter] = []
    groups: dict[str, type[Group]] = {}
    hints = get_type_hints(command, include_extras=True)
    for name, parameter in inspect.signature(command).parameters.items():
        kind = hints[name]
        if isinstance(kind, type) and issubclass(kind, Group):
            groups[name] = kind
            plain += kind.options()
        else:
            plain.append(parameter.replace(kind=parameter.KEYWORD_ONLY, annotation=kind))

    @wraps(command)
    def run(**values: Any) -> None:
        made = {name: kind.take(values) for name, kind in groups.items()}
        command(**values, **made)

    setattr(run, "__signature__", inspect.Signature(plain))  # noqa: B010 - functions have no such attribute for mypy
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in plain}
    return run


class Command(TyperCommand):
    """A command whose help lists arguments, and then options by panel, in the order of the signature."""

    def __init__(self, *arguments: Any, **attributes: Any) -> None:
        """Let options that are numbers take what people write as numbers, and no number that is beyond all use."""
        super().__init__(*arguments, **attributes)
        for parameter in self.params:
            kind = _number_kind(parameter)
            if kind is not None:
                process = partial(_process_number, parameter, kind, parameter.process_value)
                setattr(parameter, "process_value", process)  # noqa: B010 - a method for mypy

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the lists."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                usual = "Arguments" if isinstance(parameter, TyperArgument) else "Options"
                panel = getattr(parameter, "rich_help_panel", None) or usual
                panels.setdefault(panel, []).append(record)
        for panel, records in panels.items():
            with formatter.section(panel):
                formatter.write_dl(records)


def _number_kind(parameter: Any) -> type | None:
    """Return which numbers a parameter takes, in any version of typer; None if it takes others things."""
    descriptor = getattr(parameter, "type_descriptor", None)
    if descriptor is not None:
        return descriptor.annotation if descriptor.annotation in (int, float) else None
    name = getattr(parameter.type, "name", "")
    return {"integer": int, "float": float}.get(name.removesuffix(" range"))


def _process_number(parameter: Any, kind: type, process: Callable[[Any, Any], Any], context: Any, value: Any) -> Any:
    """Refuse what Python reads as a number and people do not, before typer reads it."""
    if isinstance(value, str):
        try:
            number = whole_number(value) if kind is int else decimal_number(value)
        except ValueError:
            word = "a valid integer" if kind is int else "a valid float"
            raise typer.BadParameter(f"{shown(value)!r} is not {word}", ctx=context, param=parameter) from None
        if kind is int and abs(number) > LARGEST:
            problem = f"{shown(value)} is beyond {LARGEST}, the largest whole number here"
            raise typer.BadParameter(problem, ctx=context, param=parameter)
    return process(context, value)
