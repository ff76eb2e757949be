"""How networks see inputs: as the user says, as they record it, or as is assumed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from landscape_cli.choices import DataName
from landscape_cli.cli.console import say
from landscape_cli.cli.wrong_inputs import check_categories, check_guess
from landscape_cli.errors import DataError, listed

if TYPE_CHECKING:
    import torch
    from torch import nn

    from landscape_cli.data.datasets import DataSet
    from landscape_cli.data.preprocessing import Preprocessing
    from landscape_cli.io.checkpoint import Checkpoint


def see_data(
    networks: Sequence[Checkpoint],
    model: nn.Module,
    data: DataSet,
    asked: Preprocessing | None,
    device: torch.device,
) -> list[Checkpoint]:
    """Return networks, each with how it sees the data; say what is assumed, whatever else is quiet.

    A network that does not say is taken to see them as the first that does; if none does, they are standardised, but
    for whole numbers and the user's own tables, whose columns may be categories: those are taken as they are.

    Args:
        networks: as read.
        model: of all of them.
        data: what they are measured on.
        asked: what the user says of all of them, whatever they record.
        device: where to compute.

    Raises:
        DataError: if what is asked for, or what a network says of itself, does not suit the data.

    Warns:
        LandscapeWarning, Remark: if one that does not say errs as if it saw them otherwise.
    """
    recorded = [_recorded(network, data) for network in networks]
    known = next((each for each in zip(networks, recorded, strict=True) if each[1] is not None), None)
    chosen = None if asked is None else data.under(asked).preprocessing
    assumed = _assumed(data) if known is None or known[1] is None else known[1]
    seen = [chosen or own or assumed for own in recorded]
    resolved = [replace(n, preprocessing=each.to_record()) for n, each in zip(networks, seen, strict=True)]
    silent = [network for network, own in zip(resolved, recorded, strict=True) if own is None]
    if silent and chosen is None:
        how = str(assumed) if known is None else f"{assumed}, as for {known[0].path}"
        of_set = " with the statistics of its training set" * (known is None and assumed.is_recorded_with_data)
        say(
            f"assumed: inputs of {data.record['name']} are {how}{of_set}, as "
            f"{listed(network.path for network in silent)} {'does' if len(silent) == 1 else 'do'} not say how they are "
            "prepared: if otherwise, use --preprocess"
        )
    if chosen is not None:
        check_categories(networks[0].path, model, networks[0].params, data.seen_by(resolved[0]), device)
    for network in silent:
        check_guess(network, model, data, device, assumed=chosen is None)
    return resolved


def _recorded(network: Checkpoint, data: DataSet) -> Preprocessing | None:
    """Return how a network sees inputs, if its checkpoint says so.

    Raises:
        DataError: naming the network, if that is malformed or does not suit the data.
    """
    from landscape_cli.data.preprocessing import network_preprocessing

    try:
        own = network_preprocessing(network.preprocessing, network.data)
        return None if own is None else data.under(own).preprocessing
    except DataError as error:
        raise DataError(f"{network.path}: {error}") from error


def _assumed(data: DataSet) -> Preprocessing:
    """Return how inputs are taken to be seen by networks of which none says so."""
    from landscape_cli.data.preprocessing import Preprocessing

    x = data.raw_train.x
    is_table = x.ndim == 2 and x.is_floating_point() and data.record["name"] not in list(DataName)
    return Preprocessing.none() if is_table else data.under(Preprocessing.usual(x)).preprocessing
