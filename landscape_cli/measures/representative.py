"""One representative of all networks that a symmetry makes of each other (docs/method.md: Angular width)."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn

from landscape_cli.alignment.align import match_networks
from landscape_cli.errors import LandscapeWarning, listed
from landscape_cli.evaluation.equivalence import cast_like, prove_equivalence, to_double, warn_of_precision
from landscape_cli.evaluation.probes import probe_batch
from landscape_cli.forward.functional import parameter_owners
from landscape_cli.network import Params
from landscape_cli.normalization.normalize import normalize_params
from landscape_cli.symmetry import Symmetry

CPU = torch.device("cpu")


def representative(
    model: nn.Module,
    params: Params,
    symmetry: Symmetry,
    *,
    source: torch.Generator,
    device: torch.device = CPU,
    name: str = "the network",
) -> dict[str, Tensor]:
    """Return the network that stands for all that its symmetry makes of it, and prove that it computes the same.

    It is normalised, its last layer kept, and its units are in the order, and of the signs, in which they match those
    of a random network best: that is the same for every network of the model, and so is what it makes of two that
    differ by a symmetry, to rounding.

    Args:
        model: the architecture.
        params: the network.
        symmetry: of the model.
        source: of the random network; advanced.
        device: where outputs are compared.
        name: what to call the network in messages.

    Returns:
        The network in float64, on the CPU.

    Raises:
        GeometryError: if it cannot be normalised.
        ProofError: if it computes something else.

    Warns:
        LandscapeWarning: naming groups of units of whose scale no one form is found, or if numbers of the
            representative are too large for the network's type.
    """
    before = to_double(params, CPU)
    normalized = normalize_params(before, symmetry, keep_last_layer=True)
    if normalized.unsettled:
        warnings.warn(
            f"{name}: the scales of {listed(normalized.unsettled)} share their tensors so that no one form was found: "
            "what is measured depends on them",
            LandscapeWarning,
            stacklevel=2,
        )
    random = _random_network(model, before, symmetry, source)
    exact = dict(match_networks(random, normalized.params, symmetry, no_less=False).params)
    stored = cast_like(exact, params)
    if not all(bool(tensor.isfinite().all()) for tensor in stored.values()):
        warnings.warn(
            f"{name}: once it is normalised, weights are too large for the type of its numbers: what is measured is "
            "missing (null)",
            LandscapeWarning,
            stacklevel=2,
        )
        stored = exact  # of infinite weights there is nothing to prove
    if symmetry.input_shape is not None:
        proof = prove_equivalence(
            model,
            to_double(params, device),
            to_double(exact, device),
            stored,
            probe_batch(model, params, symmetry.input_shape, inputs=symmetry.inputs, seed=0, device=device),
            what=f"normalising and permuting {name}",
        )
        warn_of_precision(name, proof)
    return exact


def _random_network(model: nn.Module, params: Params, symmetry: Symmetry, source: torch.Generator) -> dict[str, Tensor]:
    """Return a network of which only names and shapes are those of another, in its dtypes; shared tensors are one."""
    owners, weights = parameter_owners(model), set(symmetry.weights)
    drawn: dict[str, Tensor] = {}
    for name in sorted(params):
        tensor = params[name]
        owner = owners.get(name, name)
        if not tensor.is_floating_point():
            drawn[owner] = tensor
        elif owner not in drawn:
            numbers = torch.randn(tensor.shape, generator=source, dtype=torch.float32)
            # Gains and running variances are positive.
            drawn[owner] = (numbers if owner in weights else 0.5 + numbers.abs()).to(tensor.dtype)
    return {name: drawn[owners.get(name, name)] for name in params}
