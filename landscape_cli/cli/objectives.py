"""What networks are held against: the options that say it, or else what their checkpoints record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import typer

from landscape_cli.choices import ObjectiveName
from landscape_cli.cli.data_options import ObjectiveOptions
from landscape_cli.cli.parsing import flag
from landscape_cli.errors import DataError, quoted, shown

if TYPE_CHECKING:
    from landscape_cli.forward.objective import Objective
    from landscape_cli.io.checkpoint import Checkpoint


def chosen_objective(options: ObjectiveOptions, networks: Sequence[Checkpoint] = ()) -> Objective:
    """Return what networks are held against: by the options, or else as they were trained.

    Raises:
        BadParameter: if an option belongs to another objective.
        DataError: if there is no such objective, or networks were trained for different ones.
        ModelError: if a function cannot be imported, or an axis holds no classes.
    """
    from landscape_cli.forward.custom_objective import Custom
    from landscape_cli.forward.objectives import CLASSIFICATION, Dense, objective_of_record

    given = {"class_axis": options.class_axis, "ignore_index": options.ignore_index}
    settings = {name: value for name, value in given.items() if value is not None}
    name = options.objective
    objective: Objective = CLASSIFICATION
    if name is not None and ":" in name:
        objective = Custom(_function(name), name)
    elif name is not None:
        objective = _named(name)
    elif networks:
        objective = objective_of_record(_recorded(networks), {each.value: each.load() for each in ObjectiveName})
    if settings:
        if not isinstance(objective, Dense):
            raise typer.BadParameter(f"{flag(next(iter(settings)))} is for --objective dense, not {objective.name}")
        objective = replace(objective, **settings)
    return objective


def _function(name: str) -> Callable[..., Any]:
    """Return a loss of the user's, with the arguments that its name gives; its error takes none of them."""
    from landscape_cli.user_code.callables import import_callable
    from landscape_cli.user_code.request import parse_named

    path, arguments = parse_named(name, "objective", "package.module:function?argument=value", DataError)
    function = import_callable(path, what="objective", noun="function", returns="losses", error=DataError)
    if not arguments:
        return function
    bound = partial(function, **arguments)
    vars(bound)["error"] = getattr(function, "error", None)
    return bound


def _named(name: str) -> Objective:
    from landscape_cli.choices import check_choice

    check_choice("objective", name, ObjectiveName, DataError, more=", or package.module:function")
    objective: Objective = ObjectiveName(name).load()()
    return objective


def _recorded(networks: Sequence[Checkpoint]) -> dict[str, Any] | None:
    """Return what checkpoints record of their objective; foreign files, of which nothing is known, follow the others.

    Raises:
        DataError: if they were trained for different ones, or one is code.
    """
    telling = [network for network in networks if network.data or network.objective is not None]
    for network in telling:
        first = telling[0]
        if (network.objective or {}) != (first.objective or {}):
            names = [shown(str((each.objective or {}).get("name", "classification"))) for each in (first, network)]
            settings = " by other settings" * (names[0] == names[1])
            raise DataError(
                f"{first.path} was trained for {names[0]} and {network.path} for {names[1]}{settings}: networks of "
                "different objectives are measured together only by an --objective that you name"
            )
    recorded = dict(telling[0].objective or {}) if telling else {}
    if ":" in str(recorded.get("name")):
        raise DataError(
            f"{telling[0].path} was trained by a loss of its owner's, which is code that runs only if you name it: add "
            f"--objective {quoted(str(recorded['name']))}"
        )
    return recorded or None
