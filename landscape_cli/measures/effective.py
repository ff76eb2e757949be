"""Networks as measures take them: by their effective weights (docs/method.md: Masks)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from torch import Tensor, nn

from landscape_cli.errors import TraceError
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.forward.functional import float_type
from landscape_cli.forward.parts import made_of_parts
from landscape_cli.models.effective import effective, plain_model
from landscape_cli.network import Params
from landscape_cli.symmetry import Symmetry, burn_in, trace_symmetry

Measured = TypeVar("Measured", nn.Module, Evaluator)


def in_effect(
    model: Measured, networks: Sequence[Params], symmetry: Symmetry | None, example: Tensor
) -> tuple[Measured, list[Params], Symmetry | None]:
    """Return a model, networks and their symmetry by effective weights; as they are where nothing is made of parts.

    Args:
        model: the architecture, or an evaluator of it.
        networks: of that model, checked.
        symmetry: of the model, if there is one; of what is plain then it is derived anew.
        example: inputs, shape (n, *input_shape).

    Raises:
        ModelError: if a network does not fit the model.
        TraceError: if there is a symmetry, and that of the plain model cannot be derived.
    """
    architecture = model.model if isinstance(model, Evaluator) else model
    if made_of_parts(architecture):
        networks = [effective(architecture, network) for network in networks]
        architecture = plain = plain_model(architecture)
        form: Any = model.on(plain) if isinstance(model, Evaluator) else plain
        model = form
        if symmetry is not None and not {name for name, _ in symmetry.shapes} <= networks[0].keys():
            symmetry = trace_symmetry(plain, _of_type(example, networks[0]))
    return model, without_masks(architecture, networks, symmetry, example), symmetry


def without_masks(
    model: nn.Module, networks: Sequence[Params], symmetry: Symmetry | None, example: Tensor
) -> list[Params]:
    """Return networks with masks that the model itself multiplies weights by burnt into these.

    A model that has a buffer of zeros and ones is run once to see what that is. One that cannot be followed is taken to
    have no masks.
    """
    if symmetry is None and any(_hides(model, network) for network in networks):
        try:
            symmetry = trace_symmetry(model, _of_type(example, networks[0]))
        except TraceError:
            return list(networks)
    return list(networks) if symmetry is None else [burn_in(network, symmetry) for network in networks]


def _hides(model: nn.Module, network: Params) -> bool:
    """Tell whether a network has a buffer of zeros and ones, some of them zeros."""
    learned = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    buffers = (tensor for name, tensor in network.items() if name not in learned)
    return any(bool((b == 0).any()) and bool(((b == 0) | (b == 1)).all()) for b in buffers if b.ndim)


def _of_type(example: Tensor, network: Params) -> Tensor:
    """Return one or two of some inputs, those of floating-point in the network's type, on the CPU."""
    example = example[:2].cpu()
    return example.to(float_type(network)) if example.is_floating_point() else example
