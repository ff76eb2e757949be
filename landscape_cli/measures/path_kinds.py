"""Which kinds of paths there are between networks of a model."""

from __future__ import annotations

from torch import nn

from landscape_cli.binary.layers import latent_names
from landscape_cli.choices import Kind, check_choice
from landscape_cli.errors import GeometryError


def suitable_kind(model: nn.Module, kind: str | None, *, name: str = "the model") -> Kind:
    """Return the kind of paths that is asked for, or else the first that suits the model.

    Args:
        model: the architecture.
        kind: the name of a kind; None for the default.
        name: what errors call the network.

    Raises:
        GeometryError: if there is no such kind, or none between networks of the model.
    """
    binary = bool(latent_names(model))
    suitable = [choice for choice in Kind if choice.is_path and choice.load().binary == binary]
    if kind is None:
        return suitable[0]
    check_choice("kind of path", kind, [choice for choice in Kind if choice.is_path], GeometryError)
    choice = Kind(kind)
    if choice in suitable:
        return choice
    names = " or ".join(choice.value for choice in suitable)
    if binary:
        raise GeometryError(
            f"{name} is a binary network, whose signs flip one by one, so no {choice.value} path leads from it: use "
            f"`kind=` {names}, or leave it out"
        )
    raise GeometryError(f"{name} is not a binary network, so it has no signs to flip: use `kind=` {names}")
