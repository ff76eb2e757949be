"""Applying a symmetry to a network's tensors: pure functions from `Params` to `Params`."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from landscape_cli.arguments import check_kind
from landscape_cli.binary.layers import without_zeros
from landscape_cli.errors import GeometryError
from landscape_cli.network import outline
from landscape_cli.symmetry.checks import check_symmetry, check_units
from landscape_cli.symmetry.joined import Joined, join, unjoin
from landscape_cli.symmetry.spec import Axis, PermutationGroup, ScaledAxis, Symmetry

SLICES = 16
Dims = tuple[int, ...]
Member = tuple[PermutationGroup, Axis]
"""A group of units, and an axis that they live on."""


@torch.no_grad()
def permute(params: Mapping[str, Tensor], symmetry: Symmetry, permutations: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Permute hidden units: unit i of a group becomes what unit `permutations[group][i]` was.

    What the network computes is unchanged (docs/method.md: Words).

    Args:
        params: the network.
        symmetry: its symmetry.
        permutations: by group name, shape (units,), int64; groups left out keep their order. Parts of the model are
            permuted first, then units within their blocks, then the blocks.

    Returns:
        A new network; tensors that nothing touches are shared with the old one.

    Raises:
        GeometryError: if the symmetry is of another network, or there is no such group, or what is given for one is no
            permutation of its units.
        ModelError: if the network is no tensors by name.
    """
    check_symmetry(symmetry, params)
    return dict(PermutedParams(params, symmetry, permutations))


class PermutedParams(Mapping[str, Tensor]):
    """A network whose units are permuted, then flipped, as `permute` and `flip` do, bit for bit.

    Its tensors are made when they are asked for, each anew; those that nothing touches are the network's own.
    """

    def __init__(
        self,
        params: Mapping[str, Tensor],
        symmetry: Symmetry,
        permutations: Mapping[str, Tensor],
        signs: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Take a network, which must not change meanwhile, and what is done to it.

        Raises:
            GeometryError: if there is no such group, or what is given for one is no permutation of its units.
        """
        sizes = {group.name: group.size for group in symmetry.modules}
        check_units("permutations", permutations, sizes | {group.name: group.units for group in symmetry.permutations})
        for name, permutation in permutations.items():
            indices = torch.arange(len(permutation), dtype=permutation.dtype)
            if permutation.is_floating_point() or not torch.equal(permutation.cpu().sort().values, indices):
                raise GeometryError(
                    f"`permutations=`: {name!r} is no permutation: it holds each index from 0 once, int64"
                )
        self._params, self._permutations, self._signs = params, permutations, dict(signs or {})
        self._modules = [group for group in symmetry.modules if group.name in permutations]
        self._moves: defaultdict[str, list[tuple[Dims, list[Member]]]] = defaultdict(list)
        for name, dims, members in moves_of(symmetry, permutations):
            self._moves[name].append((dims, members))
        self._joined = {each.name: each for each in symmetry.joined}
        self._inside = {name: each for each in symmetry.joined for name in each.tensors}
        self._flips: defaultdict[str, list[tuple[str, Axis]]] = defaultdict(list)
        for group in symmetry.signs:
            if group.name in self._signs and bool((self._signs[group.name] < 0).any()):
                for axis in group.axes:
                    self._flips[axis.tensor].append((group.name, axis))

    @torch.no_grad()
    def __getitem__(self, name: str) -> Tensor:
        """Return a tensor, also a joined one by its name; a large one is never copied twice at once."""
        joined = self._inside.get(name)
        if joined is not None and (joined.name in self._moves or joined.name in self._flips):
            return joined.part(name, self[joined.name]).clone()
        given = tensor = self._exchanged(name, len(self._modules))
        for dims, members in self._moves.get(name, ()):
            index = sources(tensor, dims, members, self._permutations)
            tensor = taken(tensor, dims, index, ours=tensor is not given)
        for group, axis in self._flips.get(name, ()):
            factor = spread(self._signs[group].to(tensor.device, tensor.dtype), axis, tensor)
            tensor = tensor * factor if tensor is given else tensor.mul_(factor)
        return tensor

    def outline(self, name: str) -> Tensor:
        """Return what has a tensor's shape and type, without making it."""
        return self._joined[name].outline(self._params) if name in self._joined else outline(self._params, name)

    def _exchanged(self, name: str, count: int) -> Tensor:
        """Return a tensor after so many groups of parts of the model were permuted."""
        if name in self._joined:
            whole: Joined = self._joined[name]
            return whole.put({part: self._exchanged(part, count) for part in whole.tensors})
        if not count:
            return self._params[name]
        group = self._modules[count - 1]
        order = self._permutations[group.name]
        for k, member in enumerate(group.members):
            if name in member:
                return self._exchanged(group.members[int(order[k])][member.index(name)], count - 1)
        tensor = self._exchanged(name, count - 1)
        for axis in group.axes:
            if axis.tensor == name:
                places = torch.from_numpy(axis.places.table.copy())
                source = torch.arange(math.prod(tensor.shape[dim] for dim in axis.dims))
                source[places.flatten()] = places[order.cpu()].flatten()
                tensor = take(tensor, axis.dims, source)
        return tensor

    def __contains__(self, name: object) -> bool:
        """Tell whether there is a tensor, without making it."""
        return name in self._params

    def __iter__(self) -> Iterator[str]:
        """Yield the names of all tensors."""
        return iter(self._params)

    def __len__(self) -> int:
        """Return how many tensors there are."""
        return len(self._params)


def moves_of(symmetry: Symmetry, names: Collection[str]) -> list[tuple[str, Dims, list[Member]]]:
    """Return which groups of these names live along which axes of which tensor, in the order in which they move it."""
    moves: defaultdict[tuple[str, Dims], list[Member]] = defaultdict(list)
    for group in symmetry.permutations:
        if group.name in names:
            for axis in group.axes:
                moves[axis.tensor, axis.dims].append((group, axis))
    ordered = sorted(moves.items(), key=lambda move: -len(move[0][1]))
    return [(name, dims, sorted(members, key=outwards)) for (name, dims), members in ordered]


def sources(
    tensor: Tensor,
    dims: Sequence[int],
    members: Iterable[Member],
    permutations: Mapping[str, Tensor],
) -> Tensor:
    """Return, for every place along `dims`, the place that its content comes from, int64."""
    count = 1
    for dim in dims:
        count *= tensor.shape[dim]
    source = torch.arange(count)
    for group, axis in sorted(members, key=outwards):
        places = torch.from_numpy(axis.places.table.copy())
        before = source.clone()
        source[places.flatten()] = before[places[permutations[group.name].cpu()].flatten()]
    return source


def outwards(member: Member) -> tuple[bool, int]:
    """Sort groups of units before those of the blocks that the units are in."""
    group, _ = member
    return bool(group.inside), -group.blocks


def take(tensor: Tensor, dims: Sequence[int], index: Tensor) -> Tensor:
    """Return a tensor with the entries at these places, counted through the product of `dims`."""
    index = index.to(tensor.device)
    if len(dims) == 1:
        return tensor.index_select(dims[0], index)
    front = tuple(range(len(dims)))
    moved = tensor.movedim(tuple(dims), front)
    taken = moved.flatten(0, len(dims) - 1).index_select(0, index)
    return taken.view(moved.shape).movedim(front, tuple(dims)).contiguous()


def taken(tensor: Tensor, dims: Sequence[int], index: Tensor, *, ours: bool) -> Tensor:
    """Return the same, in place of the tensor if that is ours: a slice at a time, so that it is not there twice."""
    if not ours or len(dims) > 1:
        return take(tensor, dims, index)
    for part in tensor.chunk(SLICES, dim=1 if dims == (0,) else 0):
        part.copy_(take(part, dims, index))
    return tensor


def rescale(
    params: Mapping[str, Tensor], symmetry: Symmetry, factors: Mapping[str, Tensor], *, output: float = 1.0
) -> dict[str, Tensor]:
    """Multiply the activations of hidden units, and all outputs, without changing what is computed from them.

    See docs/method.md: Words.

    Args:
        params: the network.
        symmetry: its symmetry.
        factors: by name of the scale group, shape (units,), all positive; groups left out keep their scale.
        output: the one positive factor of all outputs.

    Returns:
        A new network in the same dtypes; tensors that nothing touches are shared with the old one.

    Raises:
        GeometryError: if the symmetry is of another network, there is no such group, or a factor is not positive.
        ModelError: if the network is no tensors by name.
    """
    check_symmetry(symmetry, params)
    result = dict(params)
    for axes, values in rescalings(symmetry, factors, output=output):
        rescale_axes(result, axes, values)
    return result


def rescalings(
    symmetry: Symmetry, factors: Mapping[str, Tensor], *, output: float = 1.0
) -> list[tuple[tuple[ScaledAxis, ...], Tensor]]:
    """Return the axes that `rescale` multiplies, in its order, and what by, shape (units,).

    Raises:
        GeometryError: if there is no such group, or a factor is not positive.
    """
    check_units("factors", factors, {group.name: group.size for group in symmetry.scales})
    check_kind("output", output, (int, float), "give one positive number", GeometryError)
    if not 0 < output < math.inf or not all(bool(((v > 0) & v.isfinite()).all()) for v in factors.values()):
        raise GeometryError("units can be rescaled by positive factors alone")
    moves = [(group.axes, factors[group.name]) for group in symmetry.scales if group.name in factors]
    if output != 1.0:
        moves.append((symmetry.output, torch.tensor([output], dtype=torch.float64)))
    return moves


def rescale_axes(params: dict[str, Tensor], axes: Sequence[ScaledAxis], factors: Tensor) -> None:
    """Multiply what lives along axes, in place of the tensors before."""
    for scaled in axes:  # gains first: they look at the variances as they were
        if scaled.variance is not None:
            gain, variance = params[scaled.axis.tensor], params[scaled.variance]
            factor = spread(factors.to(gain.device, gain.dtype) ** scaled.shrinks, scaled.axis, gain)
            makes_up = torch.sqrt(variance * factor**2 + scaled.epsilon) / torch.sqrt(variance + scaled.epsilon)
            params[scaled.axis.tensor] = gain * makes_up / factor
    for scaled in axes:
        if scaled.power and scaled.variance is None:
            tensor = params[scaled.axis.tensor]
            if not tensor.is_floating_point():
                raise GeometryError(f"the tensor {scaled.axis.tensor!r} holds whole numbers, which cannot be rescaled")
            factor = spread(factors.to(tensor.device, tensor.dtype) ** scaled.power, scaled.axis, tensor)
            if scaled.epsilon:
                params[scaled.axis.tensor] = factor * (tensor + scaled.epsilon) - scaled.epsilon
            else:
                params[scaled.axis.tensor] = tensor * factor


def flip(params: Mapping[str, Tensor], symmetry: Symmetry, signs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Flip the activations of hidden units, without changing what is computed from them (docs/method.md: Words).

    Latent weights of zero are first made tiny: their sign is +, and the negative of zero has the same.

    Args:
        params: the network.
        symmetry: its symmetry.
        signs: by name of the sign group, shape (units,): 1, or -1 for units to be flipped; groups left out keep theirs.

    Returns:
        A new network in the same dtypes; tensors that nothing touches are shared with the old one.

    Raises:
        GeometryError: if the symmetry is of another network, there is no such group, or a sign is not ±1.
        ModelError: if the network is no tensors by name.
    """
    check_symmetry(symmetry, params)
    check_units("signs", signs, {group.name: group.size for group in symmetry.signs})
    if any(bool((values.abs() != 1).any()) for values in signs.values()):
        raise GeometryError("`signs=` are 1, or -1 for units to be flipped")
    groups = [group for group in symmetry.signs if group.name in signs]
    touched = {axis.tensor for group in groups for axis in group.axes}
    joined = [each for each in symmetry.joined if each.name in touched]
    touched |= {name for each in joined for name in each.tensors}
    result = dict(join(without_zeros(params, [name for name in symmetry.latents if name in touched]), joined))
    for group in groups:
        for axis in group.axes:
            tensor = result[axis.tensor]
            result[axis.tensor] = tensor * spread(signs[group.name].to(tensor.device, tensor.dtype), axis, tensor)
    return unjoin(result, joined)


def random_permutations(symmetry: Symmetry, *, generator: torch.Generator) -> dict[str, Tensor]:
    """Draw a uniformly random permutation of every group of units, and of parts (docs/method.md: Words).

    Args:
        symmetry: the groups.
        generator: on the CPU; it is advanced.

    Returns:
        By group, the permutation, shape (units,), int64, on the CPU, as `permute` takes it.

    Raises:
        GeometryError: if there is no symmetry or generator.
    """
    _check_random(symmetry, generator)
    of_parts = {group.name: torch.randperm(group.size, generator=generator) for group in symmetry.modules}
    return of_parts | {
        group.name: torch.cat(
            [block * group.size + torch.randperm(group.size, generator=generator) for block in range(group.blocks)]
        )
        for group in symmetry.permutations
    }


def random_signs(symmetry: Symmetry, *, generator: torch.Generator) -> dict[str, Tensor]:
    """Toss a fair coin, ±1, for every unit whose sign is free (docs/method.md: Words).

    Args:
        symmetry: the groups.
        generator: on the CPU; it is advanced.

    Returns:
        By sign group, the signs, shape (units,), int64, on the CPU, as `flip` takes them.

    Raises:
        GeometryError: if there is no symmetry or generator.
    """
    _check_random(symmetry, generator)
    return {group.name: 1 - 2 * torch.randint(2, (group.size,), generator=generator) for group in symmetry.signs}


def _check_random(symmetry: Symmetry, generator: torch.Generator) -> None:
    check_symmetry(symmetry)
    check_kind("generator", generator, torch.Generator, "give one of torch", GeometryError)


def spread(values: Tensor, axis: Axis, tensor: Tensor) -> Tensor:
    """Return one value a unit, shape (units,), spread over the axis and ready to multiply `tensor` by; else 1.

    Where several units share a place, as the factors of a product share what reads it, it is the product of theirs.
    """
    sizes = [size if dim in axis.dims else 1 for dim, size in enumerate(tensor.shape)]
    table = torch.tensor(axis.places.table, device=values.device)
    flat = torch.ones(torch.Size(sizes).numel(), dtype=values.dtype, device=values.device)
    of_places = values[:, None].expand(table.shape).flatten()
    if axis.places.are_shared:
        return flat.scatter_reduce(0, table.flatten(), of_places, "prod").view(sizes)
    flat[table.flatten()] = of_places
    return flat.view(sizes)


def unit_rows(tensor: Tensor, axis: Axis) -> Tensor:
    """Return what `tensor` holds of each unit along `axis`, shape (units, everything else)."""
    flat = tensor.movedim(axis.dims, tuple(range(len(axis.dims)))).flatten(0, len(axis.dims) - 1)
    table = axis.places.table
    if table.shape == (len(flat), 1) and bool((table[:, 0] == range(len(flat))).all()):
        return flat.reshape(len(flat), -1)
    rows = flat.index_select(0, torch.tensor(table, device=tensor.device).flatten())
    return rows.reshape(len(table), -1)
