"""Networks by their effective weights: what pruning and reparametrisations make of a module's tensors, burnt in.

A module may hold its weight in parts: `torch.nn.utils.prune` a mask and what it multiplies, weight norm a direction and
a length, other parametrisations whatever they like. What the network is made of is the weight that they amount to, and
so networks are measured as the plain ones that have it (docs/method.md: Masks).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from landscape_cli.arguments import check_kind
from landscape_cli.errors import ModelError
from landscape_cli.forward.parts import MASK, OTHER, Parts, burn, copied, made_of_parts
from landscape_cli.models.fitting import load_params
from landscape_cli.network import Params


def plain_model(model: nn.Module) -> nn.Module:
    """Return the model that `effective` networks are of: with plain tensors in place of those made of parts.

    See docs/method.md: Masks.

    Args:
        model: the architecture; it stays as it is.

    Returns:
        A copy, in evaluation mode; the same one if nothing is made of parts.

    Raises:
        ModelError: if it is no model.
    """
    check_kind("model", model, nn.Module, "give an nn.Module, such as build_model returns", ModelError)
    made = made_of_parts(model)
    return burn(copied(model), made) if made else model


def effective(model: nn.Module, params: Params) -> Params:
    """Return a network with its effective weights: in place of their parts what the modules' own code makes of them.

    So of pruned weights what their mask leaves, of weight norm the product of length and direction, of other
    parametrizations what they return in evaluation mode (docs/method.md: Masks).

    Args:
        model: the architecture of the network as it is stored.
        params: the network; it stays as it is.

    Returns:
        A network of `plain_model(model)`, in its dtypes and on its device; the same one where nothing is made of parts.

    Raises:
        ModelError: if the network does not fit the model.
    """
    check_kind("model", model, nn.Module, "give an nn.Module, such as build_model returns", ModelError)
    made = made_of_parts(model)
    return tensors_of(burnt(model, params, made)) if made else params


def burnt(model: nn.Module, params: Params, made: Sequence[Parts]) -> nn.Module:
    """Return a copy of a model that holds a network, these tensors plain.

    Raises:
        ModelError: if the network does not fit the model.
    """
    return burn(load_params(copied(model), params), made).requires_grad_(False)


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    """Return the network that a model holds, sorted by name as files are."""
    return {name: tensor.detach() for name, tensor in sorted(model.state_dict().items())}


@dataclass(frozen=True)
class Form:
    """How a file holds a network that is measured as a plain one.

    Attributes:
        made: its tensors that are made of parts.
        params: the network as it is stored.
    """

    made: tuple[Parts, ...]
    params: Params

    @property
    def unheld(self) -> tuple[str, ...]:
        """The names of the tensors whose parts cannot be told from their values."""
        return tuple(made.plain for made in self.made if made.kind == OTHER)

    def stored(self, params: Params) -> Params:
        """Return another plain network of the model in the same form, which computes the same.

        Masks stay where the network is zero as they are, and are ones elsewhere; of weight norm the direction is the
        weight, and the length its norm. What other parametrizations would have to be is not known: a network with such
        stays plain altogether.
        """
        if self.unheld:
            return params
        result = dict(params)
        for made in self.made:
            weight = result.pop(made.plain)
            split = _masked if made.kind == MASK else _normed
            result |= dict(zip(made.stored, split(weight, made, self.params), strict=True))
        return result


def _masked(weight: Tensor, made: Parts, before: Params) -> tuple[Tensor, Tensor]:
    """Return a mask, and what it multiplies."""
    mask = before[made.stored[0]].to(weight.device)
    return (mask if bool((weight[mask == 0] == 0).all()) else torch.ones_like(mask)), weight


def _normed(weight: Tensor, made: Parts, before: Params) -> tuple[Tensor, Tensor]:
    """Return the lengths of units' weights, and their directions; a unit without weights has any."""
    length = torch.norm_except_dim(weight, 2, made.dim)
    return length, torch.where(length == 0, 1.0, weight)
