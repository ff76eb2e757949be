"""The options of the samplers, as their files declare them; none of them imports torch."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from landscape_cli.choices import Algorithm
from landscape_cli.cli.console import in_options
from landscape_cli.cli.groups import Group
from landscape_cli.cli.options import LARGEST_STACK
from landscape_cli.cli.parsing import flag
from landscape_cli.samplers.options import Option, options_of

if TYPE_CHECKING:
    from typing_extensions import Self

    from landscape_cli.samplers import Sampler


def summaries() -> str:
    """Return what each sampler is, in a few words each."""
    return "; ".join(f"{algo.value}: {algo.load().summary}" for algo in Algorithm) + "."


class SamplerOptions(Group):
    """The options of all samplers, each listed in the panel of the first sampler that has it.

    Attributes:
        values: by the options' names; None or False where an option was not given.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = dict(values)

    @classmethod
    def options(cls) -> list[inspect.Parameter]:
        """Return the options as parameters: None where they are not given, as samplers have defaults of their own."""
        parameters = []
        names = _by_name()
        for name, declared in names.items():
            first_algo, first = next(iter(declared.items()))
            is_switch = first.kind is bool
            kind: Any = str if first.read else first.choices or first.kind
            info = typer.Option(
                flag(name),
                help=_help(list(declared.items())),
                metavar=first.metavar,
                max=LARGEST_STACK if first.kind is int else None,
                rich_help_panel=_panel(first_algo, names),
                show_default=False,
            )
            parameters.append(
                inspect.Parameter(
                    name,
                    inspect.Parameter.KEYWORD_ONLY,
                    default=False if is_switch else None,
                    annotation=Annotated[kind if is_switch else kind | None, info],
                )
            )
        return parameters

    @classmethod
    def take(cls, values: dict[str, Any]) -> Self:
        """Return the group made of its options' values, which leave `values`."""
        return cls({name: values.pop(name) for name in _by_name()})

    def check_belong(self, algo: Algorithm) -> None:
        """Refuse options of other samplers: an option silently ignored misleads.

        Raises:
            BadParameter: naming the first.
        """
        for name, declared in _by_name().items():
            is_given = self.values[name] is not None and self.values[name] is not False
            if is_given and algo not in declared:
                samplers = " or ".join(sampler.value for sampler in declared)
                raise typer.BadParameter(f"{flag(name)} is for --algo {samplers}, not {algo.value}")

    def sampler(self, algo: Algorithm) -> Sampler:
        """Return the sampler with its settings, its own defaults where they were not given.

        Raises:
            BadParameter: if an option is malformed.
            TrainingError: if a setting is impossible.
        """
        settings = {}
        for option in options_of(algo.load()):
            value = self.values[option.name]
            if value is None:
                continue
            try:
                settings[option.setting] = option.read(value) if option.read else value
            except ValueError as error:
                raise typer.BadParameter(in_options(str(error))) from None
        sampler: Sampler = algo.load()(**settings)
        return sampler


def _by_name() -> dict[str, dict[Algorithm, Option]]:
    """Return which samplers declare each option, and as what, in the order of the samplers."""
    names: dict[str, dict[Algorithm, Option]] = {}
    for algo in Algorithm:
        for option in options_of(algo.load()):
            names.setdefault(option.name, {})[algo] = option
    return names


def _panel(algo: Algorithm, names: Mapping[str, Mapping[Algorithm, Option]]) -> str:
    """Return the heading of a sampler's options, which names those that are listed above."""
    shared = [flag(name) for name, declared in names.items() if algo in declared and algo != next(iter(declared))]
    also = f"; also {', '.join(shared)}" if shared else ""
    return f"Sampler {algo.value}: {algo.load().summary}{also}"


def _help(declared: list[tuple[Algorithm, Option]]) -> str:
    """Return what an option is to the samplers that have it."""
    (_, first), *others = declared
    text, defaults = first.help, [first.shown]
    for algo, option in others:
        if option.help != first.help:
            text += f" {algo.value}: {option.help}"
        defaults.append(f"{algo.value}: {option.shown}")
    has_defaults = any(option.shown for _, option in declared)
    return f"{text}  [default: {'; '.join(defaults)}]" if has_defaults else text
