"""What a symmetry is: groups of units and the tensor axes they touch, as plain data (docs/method.md: Words)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from landscape_cli.network import WholeInputs
from landscape_cli.symmetry.joined import Joined


class Role(str, Enum):
    """What the entries of a tensor along an axis are to the units that live there."""

    INCOMING = "incoming"
    """Weights that write the units: a unit's own row."""
    OUTGOING = "outgoing"
    """Weights that read the units: a unit's column."""
    GAIN = "gain"
    """One factor a unit: a norm layer's weight, a layer scale."""
    FOLLOWER = "follower"
    """Anything else a unit carries along: its bias."""
    MASK = "mask"
    """Zeros and ones that weights are multiplied by: permuted with them, and nothing else."""


class Places:
    """Where units live: for each unit the same number of places, in corresponding order; immutable."""

    __slots__ = ("_hash", "_shared", "table")

    def __init__(self, table: NDArray[np.int64]) -> None:
        """Keep a table of shape (units, places a unit)."""
        self.table = np.ascontiguousarray(table, dtype=np.int64)
        self.table.setflags(write=False)
        self._hash = hash((self.table.shape, self.table.tobytes()))
        self._shared: bool | None = None

    @property
    def are_shared(self) -> bool:
        """Whether several units have a place in common."""
        if self._shared is None:
            rows = np.sort(self.table, axis=1)
            alone = rows[:, :1].size + int((rows[:, 1:] != rows[:, :-1]).sum())
            self._shared = len(np.unique(self.table)) < alone
        return self._shared

    def unit_at(self, entries: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the unit that lives at each of these entries of the axis, -1 where none does: the table inverted.

        Args:
            entries: places along the axis, of any shape, none negative.

        Returns:
            Of the same shape; the last of several units that share a place.
        """
        units, places = self.table.shape
        unit_at = np.full(1 + max(int(self.table.max(initial=-1)), int(entries.max(initial=-1))), -1)
        unit_at[self.table.ravel()] = np.repeat(np.arange(units), places)
        return unit_at[entries]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Places) and np.array_equal(self.table, other.table)

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"Places({self.table.shape[0]} x {self.table.shape[1]})"


@dataclass(frozen=True)
class Axis:
    """Units living along one axis of one tensor, or, for a grouped convolution's inputs, along several at once.

    Attributes:
        tensor: its name; that of several joined ones (`Joined`), where units trade places across them.
        dims: the axes; places count through their product in row-major order.
        role: what the entries are to the units.
        places: of each unit: after a flatten, a unit of a convolution lives at several.
    """

    tensor: str
    dims: tuple[int, ...]
    role: Role
    places: Places

    def shares_entries_with(self, axis: Axis) -> bool:
        """Tell whether units along this axis and another have entries of a tensor in common; an axis has with itself.

        Axes over different dimensions of one tensor cross, and so they always have.
        """
        if self.tensor != axis.tensor:
            return False
        return self.dims != axis.dims or bool(np.isin(self.places.table, axis.places.table).any())


@dataclass(frozen=True)
class PermutationGroup:
    """Hidden units that can be permuted, together along every axis listed.

    Attributes:
        name: after the tensor that first writes them.
        size: how many units may trade places with each other.
        axes: where they live; each lists `blocks * size` units, block by block.
        blocks: into how many blocks the units fall: a permutation keeps each unit in its block, as the units of
            attention heads are; the blocks' own group, if they may be permuted, is another.
        inside: if these are blocks, the names of the groups of their units.
    """

    name: str
    size: int
    axes: tuple[Axis, ...]
    blocks: int = 1
    inside: tuple[str, ...] = ()

    @property
    def units(self) -> int:
        """The number of units in all blocks."""
        return self.size * self.blocks

    @cached_property
    def writers(self) -> tuple[Axis, ...]:
        """The axes along which the units' incoming weights are rows; else whatever of the units has one."""
        return _writers(self.axes)


@dataclass(frozen=True)
class ScaledAxis:
    """An axis whose entries are multiplied by `factor ** power` when its units' activations are by `factor`.

    Attributes:
        axis: where.
        power: the power; when `epsilon` is given without `variance`, of the entries plus `epsilon`.
        epsilon: of a batch-norm.
        variance: for a batch-norm's gain: the name of the running variance, which is multiplied by
            `factor ** (2 * shrinks)`; the gain makes up for what `epsilon` then weighs more or less
            (docs/method.md: Normalize).
        shrinks: the power of the batch-norm's input.
    """

    axis: Axis
    power: float
    epsilon: float = 0.0
    variance: str | None = None
    shrinks: float = 0


@dataclass(frozen=True)
class ScaleGroup:
    """Units whose scale is free: multiplying unit i's activation by any factor > 0 changes nothing downstream."""

    name: str
    size: int
    axes: tuple[ScaledAxis, ...]

    @cached_property
    def writers(self) -> tuple[Axis, ...]:
        """The axes that scale with the units; the first one, if there are weights or gains, sets the norm."""
        up = [scaled.axis for scaled in self.axes if scaled.power == 1]
        down = [scaled.axis for scaled in self.axes if scaled.power == -1]
        return _of_roles(up, Role.INCOMING, Role.GAIN) or tuple(up) or _of_roles(down, Role.OUTGOING) or tuple(down)

    @property
    def set_by(self) -> ScaledAxis:
        """The axis whose entries, unit by unit, the normalised network has at norm one."""
        writers = self.writers or tuple(scaled.axis for scaled in self.axes)
        # Where units write themselves, as in a recurrent layer, no scale need put all of them at norm one.
        once = [
            writer
            for writer in writers
            if not any(scaled.axis.shares_entries_with(writer) for scaled in self.axes if scaled.axis is not writer)
        ]
        return next(scaled for scaled in self.axes if scaled.axis is (once or writers)[0])


@dataclass(frozen=True)
class SignGroup:
    """Units whose sign is free: flipping unit i, along every axis listed, changes nothing downstream."""

    name: str
    size: int
    axes: tuple[Axis, ...]

    @cached_property
    def writers(self) -> tuple[Axis, ...]:
        """The axes that tell a unit's sign where no gain does: its incoming weights, or whatever of it has one."""
        return _writers(self.axes)


@dataclass(frozen=True)
class ModuleGroup:
    """Parts of a model that may trade places, each with all of its tensors: experts, branches.

    Attributes:
        name: what the names of their tensors have in common.
        members: the names of each part's tensors, in an order that corresponds.
        axes: where the parts live in other tensors, as in their gate's: units there are the parts.
    """

    name: str
    members: tuple[tuple[str, ...], ...]
    axes: tuple[Axis, ...]

    @property
    def size(self) -> int:
        """How many parts there are."""
        return len(self.members)


@dataclass(frozen=True)
class Sphere:
    """Where the weights of a tensor live once normalised (docs/method.md: Geodesics and distances).

    Attributes:
        tensor: a tensor of weights.
        dim: along which each slice is one unit on a sphere of its own; None if the tensor is one sphere as a whole.
    """

    tensor: str
    dim: int | None


@dataclass(frozen=True)
class Mask:
    """A buffer of zeros and ones that a parameter is multiplied by, element by element, wherever it is used.

    Attributes:
        weight: the parameter's name.
        mask: the buffer's.
        dims: for each axis of the parameter the buffer's axis that lies there; None where it is the same all along.
    """

    weight: str
    mask: str
    dims: tuple[int | None, ...]


@dataclass(frozen=True)
class FixedAxis:
    """A tensor axis (or part of one) that may not be permuted, and why.

    Attributes:
        tensor: its name.
        dim: the axis.
        places: how many places of the axis are fixed.
        reason: why.
    """

    tensor: str
    dim: int
    places: int
    reason: str


@dataclass(frozen=True)
class FixedSign:
    """A group of units that may be permuted but not flipped, and the operator that their sign matters to."""

    group: str
    reason: str


@dataclass(frozen=True)
class Symmetry:
    """All that was found of a model's symmetries, in forward order.

    Attributes:
        permutations: groups of hidden units that can be permuted.
        scales: groups of hidden units that can be rescaled.
        signs: groups of hidden units that can be flipped.
        output: the axes that one common positive factor of all outputs multiplies; empty if there is none.
        output_after: how many of the groups in `scales` come before the output in forward order.
        spheres: every tensor of weights, and the units in it. Weights are the parameters that are contracted with
            activations, also after operations on parameters alone; not biases, norm layers' or other gains.
        fixed: the axes that are in no permutation group, and move with no part of the model.
        shapes: every tensor of the model that the groups speak of, and its shape.
        parameters: the names of what is learned, each tensor under its first name: no running statistics, nor other
            buffers.
        notes: what the user should be told: operators without a rule, parameters never used.
        latents: the names of the latent weights of binary layers, of which the signs alone count.
        fixed_signs: of networks with such layers: the permutation groups whose units may not be flipped, and why.
        input_shape: the shape of one input of the model it was derived from, without the batch.
        inputs: which whole numbers that model takes; None for real numbers.
        masks: the buffers of zeros and ones that parameters are multiplied by, as pruning does.
        modules: groups of parts of the model that can be permuted, with all of their tensors, before units are.
        buffers: the names of saved buffers that go with units: tables and filters, not batch-norms' statistics, masks,
            or what parametrizations keep.
        joined: tensors that are taken as one, each in one of these at most: groups of `permutations` and `signs` have
            axes of those in place of theirs.
    """

    permutations: tuple[PermutationGroup, ...]
    scales: tuple[ScaleGroup, ...]
    signs: tuple[SignGroup, ...]
    output: tuple[ScaledAxis, ...]
    output_after: int
    spheres: tuple[Sphere, ...]
    fixed: tuple[FixedAxis, ...]
    shapes: tuple[tuple[str, tuple[int, ...]], ...]
    parameters: tuple[str, ...]
    notes: tuple[str, ...] = ()
    latents: tuple[str, ...] = ()
    fixed_signs: tuple[FixedSign, ...] = ()
    input_shape: tuple[int, ...] | None = None
    inputs: WholeInputs | None = None
    masks: tuple[Mask, ...] = ()
    modules: tuple[ModuleGroup, ...] = ()
    buffers: tuple[str, ...] = ()
    joined: tuple[Joined, ...] = ()

    @cached_property
    def of_joined(self) -> Symmetry:
        """The symmetry of networks in which joined tensors stand in place of those that they are made of (`join`)."""
        if not self.joined:
            return self
        shapes = dict(self.shapes)
        for each in self.joined:
            shape = list(shapes[each.tensors[0]])
            shape[each.dim] = sum(each.sizes)
            shapes[each.name] = tuple(shape)
        return replace(
            self,
            shapes=tuple((name, shapes[name]) for name in self._joined_up(shapes)),
            parameters=self._joined_up(self.parameters),
            latents=self._joined_up(self.latents),
            buffers=self._joined_up(self.buffers),
            joined=(),
        )

    def _joined_up(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return names of tensors, those of joined ones in place of what they are made of."""
        name_of = {name: each.name for each in self.joined for name in each.tensors}
        return tuple(dict.fromkeys(name_of.get(name, name) for name in names))

    def tensors_of(self, name: str) -> tuple[str, ...]:
        """Return the tensors that a joined one of this name is made of; of any other name itself alone."""
        return next((each.tensors for each in self.joined if each.name == name), (name,))

    @cached_property
    def without_masks(self) -> Symmetry:
        """The same, but for masks: they live with units and move with them, and tell nothing of them."""
        if not any(axis.role is Role.MASK for group in self.permutations for axis in group.axes):
            return self
        groups = (
            replace(group, axes=tuple(axis for axis in group.axes if axis.role is not Role.MASK))
            for group in self.permutations
        )
        return replace(self, permutations=tuple(groups), masks=())

    @cached_property
    def without_modules(self) -> Symmetry:
        """The same, but that whole parts of the model stay where they are."""
        return replace(self, modules=())

    @property
    def weights(self) -> tuple[str, ...]:
        """The names of the tensors of weights: not biases, nor anything else that follows the units."""
        return tuple(dict.fromkeys(sphere.tensor for sphere in self.spheres))

    @property
    def is_binary(self) -> bool:
        """Whether all that is learned are latent weights of binary layers."""
        return bool(self.latents) and set(self.parameters) <= set(self.latents)

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of parameters of several axes that are no weights all the same: gains and shifts of many places."""
        weights, shapes = set(self.weights), dict(self.shapes)
        return tuple(
            name
            for name in self.parameters
            if name not in weights and sum(size > 1 for size in shapes.get(name, ())) > 1
        )


def _of_roles(axes: Iterable[Axis], *roles: Role) -> tuple[Axis, ...]:
    return tuple(axis for axis in axes if axis.role in roles)


def _writers(axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
    """Return the axes along which units' incoming weights are rows; else what they have a number of each; else all."""
    return _of_roles(axes, Role.INCOMING) or _of_roles(axes, Role.GAIN, Role.FOLLOWER) or axes
