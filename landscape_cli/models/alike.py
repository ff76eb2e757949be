"""Whether networks that were read may be compared: of one model, one kind and one type."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from landscape_cli.binary.layers import latent_names
from landscape_cli.errors import ModelError
from landscape_cli.io.checkpoint import Checkpoint
from landscape_cli.models.registry import construct_template, measured
from landscape_cli.models.request import describe_model

if TYPE_CHECKING:
    import torch


def check_same_model(network: Checkpoint, first: Checkpoint) -> None:
    """Check that two networks are of one model.

    Raises:
        ModelError: saying of which each is.
    """
    inputs = first.model.inputs or network.model.inputs  # one file may not say what it takes, or not have been asked
    if replace(measured(network.model), inputs=network.model.inputs or inputs) != replace(
        measured(first.model), inputs=inputs
    ):
        _check_same_kind(network, first)
        raise ModelError(
            f"{network.path} is {describe_model(network.model)}, but {first.path} is "
            f"{describe_model(first.model)}: only networks of one model can be compared"
        )


def check_dtypes(network: Checkpoint, first: Checkpoint) -> None:
    """Check that a network computes in one type, and that its tensors have the types of another's.

    Raises:
        ModelError: if not.
    """
    if len({kind for kind in _dtypes(network) if kind.is_floating_point}) > 1:
        raise ModelError(f"{network.path} mixes floating-point types, which a network cannot compute with")
    if _dtypes(network) != _dtypes(first):
        raise ModelError(f"{network.path} and {first.path} differ in the type of their tensors: convert one of them")


def _check_same_kind(*networks: Checkpoint) -> None:
    """Check that networks of different models are all binary, or none of them.

    Raises:
        ModelError: naming one of each kind.
    """
    by_kind = {}
    for network in networks:
        try:
            by_kind[bool(latent_names(construct_template(network.model, network.params)))] = network.path
        except ModelError as error:
            raise ModelError(f"{network.path}: {error}") from error
    if len(by_kind) > 1:
        raise ModelError(
            f"{by_kind[True]} is binary (its weights are signs), but {by_kind[False]} is not: only networks of one "
            "model can be compared"
        )


def _dtypes(network: Checkpoint) -> list[torch.dtype]:
    return [tensor.dtype for tensor in network.params.values()]
