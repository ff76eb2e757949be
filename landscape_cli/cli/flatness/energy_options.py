"""The options of `flatness --kind energy`: strengths of perturbations, one option for each registered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import make_dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from landscape_cli.choices import Perturbation
from landscape_cli.cli.groups import Group
from landscape_cli.cli.parsing import flag, numbers
from landscape_cli.cli.usage import errors_of_usage
from landscape_cli.measures.perturbation import WeightPerturbation, check_suits, default_perturbation, listed_numbers

PANEL = "Kind energy: how the error grows as weights are perturbed"
AllParameters = Annotated[
    bool,
    typer.Option(
        "--all-parameters",
        help="Perturb biases and norm layers too, not only weights; with --kind curvature: differentiate by them too.",
        rich_help_panel="Kinds energy and curvature",
    ),
]


def _option(kind: type[WeightPerturbation], name: str) -> Any:
    text = f"{kind.help}  [default: {listed_numbers(kind.default)}]"
    return Annotated[str | None, typer.Option(flag(name), help=text)]


if TYPE_CHECKING:

    class StrengthOptions(Group):
        """Strengths of each perturbation as the user wrote them, separated by commas; None where not given."""

        panel = PANEL

else:
    StrengthOptions = make_dataclass(
        "StrengthOptions",
        [(choice.value, _option(choice.load(), choice.value), None) for choice in Perturbation],
        bases=(Group,),
        namespace={"panel": PANEL},
        frozen=True,
    )


def parse_strengths(options: StrengthOptions) -> dict[WeightPerturbation, list[float]]:
    """Return the strengths of each perturbation that the user named, or else by default, having checked them.

    Raises:
        BadParameter: if one is no number, or no strength.
    """
    parsed = {}
    for choice in Perturbation:
        kind: WeightPerturbation = choice.load()(choice.value)
        text = getattr(options, choice.value)
        strengths = list(kind.default) if text is None else numbers(text, flag(choice.value))
        with errors_of_usage():
            kind.check(strengths, text)
        parsed[kind] = strengths
    return parsed


def choose_perturbation(
    parsed: Mapping[WeightPerturbation, list[float]],
    options: StrengthOptions,
    path: str,
    *,
    binary: bool,
    all_parameters: bool,
) -> tuple[WeightPerturbation, list[float], str]:
    """Return the perturbation to measure with, its strengths, and those as text.

    Args:
        parsed: the strengths of each.
        options: what the user wrote.
        path: a network's file.
        binary: whether it is binary.
        all_parameters: whether all parameters are to be perturbed.

    Raises:
        BadParameter: if options are for networks of the other kind, or for several perturbations.
    """
    named = [kind for kind in parsed if getattr(options, kind.name) is not None]
    for kind in named:
        with errors_of_usage():
            check_suits(kind, path, binary=binary)
    if binary and all_parameters:
        raise typer.BadParameter(f"{path} is binary, and its signs are all that is flipped: leave out --all-parameters")
    if len(named) > 1:
        raise typer.BadParameter(f"{' and '.join(flag(kind.name) for kind in named)} are two measures: choose one")
    usual = default_perturbation(binary=binary).name
    chosen = named[0] if named else next(kind for kind in parsed if kind.name == usual)
    return chosen, parsed[chosen], getattr(options, chosen.name) or listed_numbers(chosen.default)
