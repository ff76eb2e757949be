"""Tensors that a module makes of others whenever it runs: pruned, by weight norm, by spectral norm, parametrized."""

from __future__ import annotations

import copy
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune, remove_spectral_norm, remove_weight_norm
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

HOOKS = (prune.BasePruningMethod, WeightNorm, SpectralNorm)
MASK, WEIGHT_NORM, OTHER = "mask", "weight norm", "other"
ALL = (MASK, WEIGHT_NORM, OTHER)
RELABELED = (WEIGHT_NORM,)
"""What is made plain to permute units: what any weight can be put back into."""
RESCALED = (WEIGHT_NORM, OTHER)
"""The same to rescale them: what holds no weights of other scales, as spectral norm, has no normalised network."""


@dataclass(frozen=True)
class Parts:
    """A tensor of a module that is made of others whenever the module runs.

    Attributes:
        module: the module's name.
        name: the tensor's name in it.
        parts: the names of what it is made of, in the module: a mask with what it multiplies, length and direction;
            of others of no certain meaning.
        kind: MASK, WEIGHT_NORM, or OTHER.
        dim: of weight norm, the axis that lengths are told apart along; -1 for one length.
    """

    module: str
    name: str
    parts: tuple[str, ...]
    kind: str = OTHER
    dim: int = -1

    @property
    def plain(self) -> str:
        """The name that the tensor has in a plain network."""
        return _joined(self.module, self.name)

    @property
    def stored(self) -> tuple[str, ...]:
        """The names of its parts in a network as it is stored."""
        return tuple(_joined(self.module, part) for part in self.parts)


def made_of_parts(model: nn.Module) -> list[Parts]:
    """Return the tensors of a model that are made of others: by pruning, weight or spectral norm, or otherwise."""
    found = []
    for prefix, module in model.named_modules():
        if isinstance(module, parametrize.ParametrizationList):
            continue
        found += _hooked_parts(prefix, module)
        for name, makers in _parametrizations(module):
            within = f"parametrizations.{name}"
            parts = tuple(f"{within}.{part}" for part in makers.state_dict())
            alone = len(makers) == 1 and isinstance(makers[0], parametrizations._WeightNorm)
            found.append(Parts(prefix, name, parts, *((WEIGHT_NORM, makers[0].dim) if alone else ())))
    return found


def _parametrizations(module: nn.Module) -> list[tuple[str, Any]]:
    return list(module.parametrizations.items()) if parametrize.is_parametrized(module) else []  # type: ignore[operator, union-attr]


def _hooks(module: nn.Module) -> list[Any]:
    return [hook for hook in module._forward_pre_hooks.values() if isinstance(hook, HOOKS)]


def _hooked_parts(prefix: str, module: nn.Module) -> list[Parts]:
    return [_hooked(prefix, hook) for hook in _hooks(module)]


def _hooked(prefix: str, hook: Any) -> Parts:
    if isinstance(hook, prune.BasePruningMethod):
        name: str = hook._tensor_name
        return Parts(prefix, name, (f"{name}_mask", f"{name}_orig"), MASK)
    name = hook.name
    if isinstance(hook, WeightNorm):
        return Parts(prefix, name, (f"{name}_g", f"{name}_v"), WEIGHT_NORM, hook.dim)
    return Parts(prefix, name, (f"{name}_orig", f"{name}_u", f"{name}_v"))


@torch.no_grad()
def burn(model: nn.Module, made: Sequence[Parts]) -> nn.Module:
    """Put plain tensors in place of those made of parts, in the model itself; return it."""
    model.eval()
    for tensor in reversed(made):  # what is made of a tensor that is itself made comes first
        module, name = model.get_submodule(tensor.module), tensor.name
        if parametrize.is_parametrized(module, name):
            _unparametrize(module, name)
        else:
            for hook in _hooks(module):
                if _hooked(tensor.module, hook) == tensor:
                    remove = remove_spectral_norm if isinstance(hook, SpectralNorm) else remove_weight_norm
                    (prune.remove if tensor.kind == MASK else remove)(module, name)
                    _forget_loading(module, hook)
        if name in module._parameters:  # where it was before it was taken apart, as far as random numbers go by order
            module._parameters = {name: module._parameters.pop(name), **module._parameters}
    return model


def _forget_loading(module: nn.Module, hook: Any) -> None:
    """Remove what a hook has registered besides for loading, which PyTorch leaves behind for spectral norm."""
    for key, wrapped in list(module._load_state_dict_pre_hooks.items()):
        if getattr(getattr(wrapped, "hook", wrapped), "fn", None) is hook:
            del module._load_state_dict_pre_hooks[key]


def _unparametrize(module: Any, name: str) -> None:
    """Make a parametrized tensor plain; the module's class, which copies of it share, stays as it is."""
    tensor, parametrized, learned = (
        getattr(module, name),
        type(module),
        list(module.parametrizations[name].parameters()),
    )
    del module.parametrizations[name]
    if module.parametrizations:
        members = {key: member for key, member in vars(parametrized).items() if key not in {name, "__dict__"}}
        module.__class__ = type(parametrized.__name__, parametrized.__bases__, members)
    else:
        del module.parametrizations
        module.__class__ = parametrized.__bases__[0]
    if learned:
        module.register_parameter(name, nn.Parameter(tensor))
    else:
        module.register_buffer(name, tensor)


def as_stored(model: nn.Module, names: Container[str]) -> nn.Module:
    """Return the model itself, tensors plain in it that a network with these names has so."""
    made = [
        made for made in made_of_parts(model) if made.plain in names and not any(part in names for part in made.stored)
    ]
    return burn(model, made) if made else model


def copied(model: nn.Module) -> nn.Module:
    """Return a copy of a model; what its hooks made of its parameters, which PyTorch does not copy, is made anew."""
    made = [vars(module).get(hook_parts.name) for module in model.modules() for hook_parts in _hooked_parts("", module)]
    memo = {id(tensor): tensor.detach() for tensor in made if isinstance(tensor, Tensor)}
    return copy.deepcopy(model, memo)


def _joined(module: str, name: str) -> str:
    return f"{module}.{name}" if module else name
