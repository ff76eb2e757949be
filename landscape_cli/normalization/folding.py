"""A network that sees inputs in another way, its first layer making up for it (docs/method.md: Data)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product

import torch
from torch import Tensor, nn

from landscape_cli.arguments import check_kind, device_of
from landscape_cli.data.preprocessing import Preprocessing
from landscape_cli.errors import GeometryError, ProofError
from landscape_cli.evaluation.equivalence import cast_like, prove_equivalence, to_double
from landscape_cli.evaluation.probes import probe_batch
from landscape_cli.forward.functional import cast_floats, errors_of_forward, float_type, run_with, unsaved_buffers
from landscape_cli.io.checkpoint import Checkpoint
from landscape_cli.models.fitting import check_network
from landscape_cli.network import Params, WholeInputs
from landscape_cli.normalization.verified import normalize_checkpoint
from landscape_cli.symmetry import Symmetry
from landscape_cli.symmetry.apart import apart
from landscape_cli.symmetry.checks import check_symmetry
from landscape_cli.symmetry.masks import burn_in

INPUT = "input"
"""Why an axis is fixed that reads the input itself."""
OUTPUT = "output"
LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
MOST_TRIALS = 64
"""Of tensors that may take up the shift."""


def fold_preprocessing(
    model: nn.Module,
    network: Params,
    symmetry: Symmetry,
    own: Preprocessing,
    other: Preprocessing,
    x: Tensor,
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
    name: str = "the network",
    inputs: WholeInputs | None = None,
) -> dict[str, Tensor]:
    """Return a network that computes from inputs prepared in another way what it computes from its own, and prove it.

    Of numbers u it saw (u - m) / d, and is to see z = (u - m') / d': the weights that read the input take the factor
    d' / d of each channel, and what is added to their sums the rest. That is exact where the input is read by sums of
    products alone, and, unless all means are equal, by no convolution with zeros around (docs/method.md: Data).

    Args:
        model: the architecture, put in evaluation mode.
        network: its tensors; they stay as they are.
        symmetry: of the model, as `trace_symmetry` returns it: it says which weights read the input.
        own: how the network sees inputs.
        other: how it is to see them.
        x: the data set's own numbers, a few at least, shape (n, *input_shape): their type and channels count.
        seed: of the inputs that outputs are compared on.
        device: where they are compared.
        name: what to call the network in messages.
        inputs: which whole numbers the model takes, if it takes such, as of categories in a table.

    Returns:
        The network, in its dtypes and where it is.

    Raises:
        GeometryError: if there is no such network, or none that is found.
        ModelError: if the network does not fit the model, or the model does not run.
        DataError: if the preprocessing does not suit the data.
    """
    for argument, value in (("own", own), ("other", other)):
        check_kind(argument, value, Preprocessing, "give a Preprocessing", GeometryError)
    check_network(name, model, network)
    check_symmetry(symmetry, network)
    device = device_of(device)
    (mean, deviation), (new_mean, new_deviation) = own.fitted(x).affine(x), other.fitted(x).affine(x)
    scale, shift = new_deviation / deviation, (new_mean - mean) / deviation
    scale, shift = torch.broadcast_tensors(scale, shift)
    probe = probe_batch(model, network, tuple(x.shape[1:]), inputs=inputs, seed=seed, device=device).double()
    around = (-1, *[1] * (x.ndim - 2)) if len(scale) > 1 else (1,)
    probe_before = probe * scale.view(around).to(device) + shift.view(around).to(device)
    readers = _readers(symmetry, network, _layers_reading(model, network, probe), name)
    refusal: ProofError | None = None
    for exact in _candidates(to_double(network, torch.device("cpu")), symmetry, readers, x, scale, shift):
        stored = cast_like(exact, network)
        try:
            prove_equivalence(
                model,
                network,
                to_double(exact, device),
                stored,
                probe,
                probe_before=probe_before,
                what=f"folding the preprocessing of {name} into its first layer",
            )
        except ProofError as error:
            refusal = error
        else:
            return stored
    raise GeometryError(
        f"the preprocessing of {name} cannot be folded into its first layer exactly: what reads the input pads it with "
        "zeros, has nothing to add a shift to, or is more than sums of products: choose one for all networks with "
        "`preprocess=`"
    ) from refusal


def fold_checkpoint(
    model: nn.Module,
    network: Checkpoint,
    symmetry: Symmetry,
    own: Preprocessing,
    other: Preprocessing,
    x: Tensor,
    *,
    seed: int,
    device: torch.device,
) -> Checkpoint:
    """Return a checkpoint folded as `fold_preprocessing` does; normalised again, if it was.

    Raises:
        GeometryError, ModelError, DataError: as there.
    """
    params = fold_preprocessing(
        model,
        network.params,
        symmetry,
        own,
        other,
        x,
        seed=seed,
        device=device,
        name=network.path,
        inputs=network.model.inputs,
    )
    folded = replace(network, params=params, preprocessing=other.to_record())
    if network.normalized is None:
        return folded
    keep = bool(network.normalized.get("keep_last_layer"))
    return normalize_checkpoint(model, folded, symmetry, keep_last_layer=keep, seed=seed, device=device)[0]


@dataclass(frozen=True)
class _Reader:
    """A tensor of weights that read the input along one axis, and write units along another.

    Attributes:
        tensor: its name.
        dim: the axis along which it reads.
        writes: the axis of the units.
        followers: the tensors with one number for each of these, which a shift may be added to.
        groups: into how many parts channels and units are cut, each part of units reading one of channels.
    """

    tensor: str
    dim: int
    writes: int
    followers: tuple[str, ...]
    groups: int = 1


def _layers_reading(model: nn.Module, network: Params, x: Tensor) -> dict[str, int]:
    """Return the weights of layers that are handed the input as it is, and in how many groups each reads channels."""
    inputs, groups = x[:2].to(float_type(network)).clone(), dict[nn.Module, int]()

    def note(module: nn.Module, given: tuple[object, ...]) -> None:
        seen = given[0] if given else None
        if isinstance(seen, Tensor) and (seen.untyped_storage().data_ptr(), seen.numel()) == whole:
            groups[module] = getattr(module, "groups", 1)

    whole = inputs.untyped_storage().data_ptr(), inputs.numel()
    hooks = [each.register_forward_pre_hook(note) for each in model.modules() if isinstance(each, LAYERS)]
    try:
        with torch.no_grad(), errors_of_forward():
            run_with(model, cast_floats({**unsaved_buffers(model), **network}, inputs.dtype, inputs.device), inputs)
    finally:
        for hook in hooks:
            hook.remove()
    found = {}
    for name, module in model.named_modules():
        for weight in ("weight", "weight_orig") if module in groups else ():
            tensor = f"{name}.{weight}".removeprefix(".")
            if tensor in network:
                found[tensor] = groups[module]
    return found


def _readers(symmetry: Symmetry, network: Params, layers: Mapping[str, int], name: str) -> list[_Reader]:
    """Return the weights that read the input: those that tracing finds, and layers of which it tells nothing.

    It does not of an axis of one place, as where images have one channel, nor of channels in groups.

    Raises:
        GeometryError: if there are none, or they read something else besides.
    """
    masks = {mask.mask for mask in symmetry.masks}
    axes = {axis.tensor: axis for axis in symmetry.fixed if axis.reason == INPUT and axis.tensor not in masks}
    readers = []
    for tensor in dict.fromkeys([*axes, *layers]):
        shape, axis, groups = network[tensor].shape, axes.get(tensor), layers.get(tensor, 1)
        dim = 1 if axis is None or groups > 1 else axis.dim
        if groups == 1 and axis is not None and (axis.places != shape[dim] or len(shape) < 2 or dim > 1):
            raise GeometryError(
                f"the preprocessing of {name} cannot be folded: {tensor} reads the input and something else: "
                "choose one for all networks with `preprocess=`"
            )
        readers.append(_Reader(tensor, dim, 1 - dim, _followers(symmetry, network, tensor), groups))
    if not readers:
        raise GeometryError(
            f"the preprocessing of {name} cannot be folded: no weights read the whole input by themselves: choose one "
            "for all networks with `preprocess=`"
        )
    return readers


def _followers(symmetry: Symmetry, network: Params, tensor: str) -> tuple[str, ...]:
    """Return the tensors that have one number for each unit which `tensor` writes."""
    names: list[str] = []
    for group in apart(symmetry).permutations:
        if any(axis.tensor == tensor for axis in group.axes):
            names += [axis.tensor for axis in group.axes]
    if any(axis.tensor == tensor and axis.reason == OUTPUT for axis in symmetry.fixed):
        names += [axis.tensor for axis in symmetry.fixed if axis.reason == OUTPUT]
    return tuple(name for name in dict.fromkeys(names) if network[name].ndim == 1)


def _candidates(
    network: Mapping[str, Tensor],
    symmetry: Symmetry,
    readers: Sequence[_Reader],
    x: Tensor,
    scale: Tensor,
    shift: Tensor,
) -> Iterator[dict[str, Tensor]]:
    """Yield networks one of which computes the same, if any does: by what the shift of each reader is added to.

    A bias takes it as it is, a running mean, which is subtracted, with the other sign.
    """
    scaled, shifts, effective = dict(network), [], burn_in(network, symmetry)
    for reader in readers:
        weight, size = effective[reader.tensor], network[reader.tensor].shape[reader.dim]
        factors, added = (_laid_along(numbers, weight, size, x, reader) for numbers in (scale, shift))
        scaled[reader.tensor] = scaled[reader.tensor] * factors
        others = [dim for dim in range(weight.ndim) if dim != reader.writes]
        shifts.append((weight * added).sum(others))
    if not any(bool(each.any()) for each in shifts):
        yield scaled
        return
    choices = [
        [
            (name, sign)
            for name in reader.followers
            for sign in ((1, -1) if name in symmetry.parameters else (-1, 1))
            if network[name].shape == each.shape
        ]
        for reader, each in zip(readers, shifts, strict=True)
    ]
    for chosen in islice(product(*choices), MOST_TRIALS):
        candidate = dict(scaled)
        for (name, sign), each in zip(chosen, shifts, strict=True):
            candidate[name] = candidate[name] + sign * each
        yield candidate


def _laid_along(numbers: Tensor, weight: Tensor, size: int, x: Tensor, reader: _Reader) -> Tensor:
    """Return a number for each weight, or for all that read the same place, in the axes of the tensor."""
    if reader.groups > 1:
        of_part = numbers.expand(size * reader.groups).view(reader.groups, size)
        of_unit = of_part.repeat_interleave(len(weight) // reader.groups, dim=0)
        return of_unit.view(*of_unit.shape, *[1] * (weight.ndim - 2))
    return _along(numbers, size, x, reader).view([size if dim == reader.dim else 1 for dim in range(weight.ndim)])


def _along(numbers: Tensor, size: int, x: Tensor, reader: _Reader) -> Tensor:
    """Return a number for each place that a weight reads: of a channel, or of all places of channels laid out flat.

    Raises:
        GeometryError: if places cannot be told.
    """
    if len(numbers) == 1 or len(numbers) == size:
        return numbers.expand(size)
    places = x[0].numel() // len(numbers)
    if size != places * len(numbers):
        raise GeometryError(
            f"the preprocessing cannot be folded: {reader.tensor} reads {size} places, not the input's {x.shape[1]} "
            "channels: choose one for all networks with `preprocess=`"
        )
    return numbers.repeat_interleave(places)
