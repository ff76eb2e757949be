"""What was computed of what: every operator that ran, as a node of a graph, in order.

Rules follow units along the axes of tensors. That whole tensors may trade places, as those of experts do, is told by
how outputs are computed of them: `solving/siblings.py` compares nodes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from landscape_cli.symmetry.tracing.constants import Constants
from landscape_cli.symmetry.tracing.identity import TensorDict
from landscape_cli.symmetry.tracing.layers import Layer, Value
from landscape_cli.symmetry.tracing.storage import storage_of

COMMUTATIVE = frozenset({"add", "mul", "maximum", "minimum", "fmax", "fmin", "hypot", "logaddexp", "difference"})
"""Operators whose two operands may trade places, and brackets, too: many in a row are one of many operands."""
JOINING = frozenset({"stack", "cat"})
NUMBERS_SAY = {("gt", 0): True, ("ne", 0): True, ("ge", 1): True, ("eq", 0): False, ("le", 0): False, ("lt", 1): False}
"""Whether something is there, if a comparison of how much there is with a number is true."""
EVEN = frozenset({"abs", "square", "cos", "cosh"})
"""Functions of one number that are the same for its negative: of a difference, the order is no matter."""
LEAF, CONSTANT, PICKED, PUT = "a parameter", "a constant", "one of several", "put at"
OVERWRITTEN = "overwritten"
"""Kinds of what is put, one after another, at places that have none in common: the order is no matter."""


@dataclass(frozen=True)
class Node:
    """Something computed.

    Attributes:
        kind: the operator, with all of its arguments that are no tensors; for a parameter `LEAF`.
        operands: the numbers of the nodes that it is computed of.
        name: of a parameter.
        labels: what lives along its axes.
        units: those that it is told by, if it holds one place alone of those along an axis (`PICKED`).
        axis: along which others are joined, of those that join.
        sizes: how long these are there.
    """

    kind: tuple[Any, ...]
    operands: tuple[int, ...] = ()
    name: str = ""
    labels: tuple[Layer, ...] = ()
    units: tuple[int, ...] = ()
    axis: int = 0
    sizes: tuple[int, ...] = ()

    @property
    def operator(self) -> Any:
        """Its operator."""
        return self.kind[0]


class Graph:
    """The nodes of one run.

    Attributes:
        nodes: in the order of their making, operands first.
        conditions: those that decided which way the forward pass goes.
        asked: those of them that were answered by yes or no, in order.
        outputs: those of the model's outputs.
        pieces: parameters that are used piece by piece: by the name of a node, that of the parameter and which it is
            along each of its axes.
        runs: the labels of each run of axes of every parameter, or piece of one, that is a node.
    """

    def __init__(
        self,
        name_of: Callable[[Tensor], str | None],
        constants: Constants,
        stacks: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        """Start with nothing.

        Args:
            name_of: tells which parameter a tensor is.
            constants: those of the run.
            stacks: parameters that are followed piece by piece, and along which axes, one after the other.
        """
        self.nodes: list[Node] = []
        self.pieces: dict[str, tuple[str, dict[int, int]]] = {}
        self.runs: dict[str, Sequence[Sequence[Layer]]] = {}
        self._stacks = stacks or {}
        self._single: set[int] = set()
        self.conditions: list[int] = []
        self.asked: list[int] = []
        self.outputs: list[int] = []
        self._name_of, self._constants = name_of, constants
        self._made: TensorDict[tuple[int, int]] = TensorDict()
        self._whole: dict[int, int] = {}
        self._writes: dict[int, int] = {}
        self._numbers: dict[tuple[Any, ...], int] = {}
        self._by_name: list[int] = []

    def add(self, kind: tuple[Any, ...], operands: Sequence[int] = (), **known: Any) -> int:
        """Return the number of a node, a new one unless the same was computed of the same before."""
        key = (kind, *operands, known.get("name"))
        if key not in self._numbers:
            self._numbers[key] = len(self.nodes)
            self.nodes.append(Node(kind, tuple(operands), **known))
        return self._numbers[key]

    def add_input(self, stand_in: Tensor) -> None:
        """Begin with the input."""
        self._note(stand_in, self.add(("input",)))

    def holds(self, tensor: Tensor) -> bool:
        """Tell whether a tensor is one that operators made of others than constants."""
        return tensor in self._made

    def condition(self, tensor: Tensor, answer: Tensor | None = None) -> bool:
        """Note what was looked at, and what was answered, if that is places; tell what is so if something is there."""
        looked = self._read(tensor)
        self.conditions.append(looked)
        if answer is not None:
            self._note(answer, self.add(("nonzero",), [looked]))
            return True
        self.asked.append(looked)
        present = self.presence(looked)
        return present is None or present[1]

    def presence(self, number: int) -> tuple[int, bool] | None:
        """Return what a condition asks for, whether it is anywhere, and what it is if so; None if it asks otherwise."""
        node = self.nodes[number]
        if node.operator in {"logical_not", "bitwise_not"}:
            present = self.presence(node.operands[0])
            return None if present is None else (present[0], not present[1])
        if node.operator == "any" and len(node.operands) == 1:
            return node.operands[0], True
        said = NUMBERS_SAY.get((node.operator, *node.kind[1][1:])) if len(node.kind) > 1 else None
        summed = self.nodes[node.operands[0]] if node.operands else node
        if said is None or summed.operator not in {"sum", "count_nonzero"}:
            return None
        return summed.operands[0], said

    def finish(self, outputs: Sequence[Tensor], parameters: Mapping[str, Sequence[Sequence[Layer]]]) -> None:
        """Note the outputs, and what lives along the axes of parameters."""
        self.outputs = [self._read(output) for output in outputs]
        for number, node in enumerate(self.nodes):
            if node.operator == LEAF:
                of_piece = [[layer] for layer in node.labels]
                runs = of_piece if node.name in self.pieces else parameters.get(node.name, ())
                self.nodes[number] = replace(node, labels=tuple(layer for run in runs for layer in run))
                self.runs[node.name] = runs

    def used_whole(self, pieces: Collection[str]) -> bool:
        """Tell whether a parameter that these are pieces of, or a piece that they are in, was used otherwise."""
        around: set[str] = set()
        for parameter, at in (self.pieces[name] for name in pieces):
            around |= {parameter, *(_name_of_piece(parameter, dict(list(at.items())[:k])) for k in range(1, len(at)))}
        wholes = {number for number, node in enumerate(self.nodes) if node.name and node.name in around}
        return bool(wholes) and any(not wholes.isdisjoint(node.operands) for node in self.nodes)

    def follow(self, name: str, args: Any, kwargs: Mapping[str, Any], outputs: Sequence[Any], target: Any) -> list[int]:
        """Note what an operator made; return the numbers of the nodes of its outputs that are tensors."""
        operands: list[int] = []
        kind: tuple[Any, ...]
        kind = (name, self._kind(args, operands), self._kind(sorted(kwargs.items()), operands))
        made = [each for each in outputs if isinstance(each, Tensor)]
        if name == "add" and len(operands) == 1 and any(not isinstance(arg, Tensor) and arg == 0 for arg in args[:2]):
            return self._noted(made, operands)
        stacked = self._stacked(name, args, operands)
        if stacked:
            self._noted(made, stacked)
            return []
        axis = 0
        sizes: tuple[int, ...] = ()
        if name in EVEN or (name == "pow" and len(operands) == 1 and args[1] in {2, 4, 6}):
            operands = [self._difference(operands[0])]
        if name in COMMUTATIVE and len(operands) == 2 and not kwargs:
            kind = (name,)
        elif name == "index_add" and not kwargs:
            kind, operands = ("add",), [operands[0], self.add((PUT, args[1]), operands[1:])]
        elif name == "index_put" and len(operands) > 2:
            kind, operands = self._put(kind, operands)
        elif name == "where" and len(operands) == 3 and (told := self._told_by_name(operands[0])) is not None:
            kind, operands = (OVERWRITTEN, told), [operands[2], self.add((PUT, name), operands[:2])]
        elif name in JOINING and len(operands) > 1:
            axis = int(args[1] if len(args) > 1 else kwargs.get("dim", 0)) % made[0].ndim
            sizes = (1,) * len(operands) if name == "stack" else tuple(tensor.shape[axis] for tensor in args[0])
            kind = (name, axis)
        piece = self._piece(name, args)
        if piece is not None:
            parameter, within, axis_of_it, first = piece
            numbers = [
                self._add_piece(parameter, {**within, axis_of_it: first + k}, tensor) for k, tensor in enumerate(made)
            ]
        else:
            numbers = [self.add((*kind, k) if k else kind, operands, axis=axis, sizes=sizes) for k in range(len(made))]
        if isinstance(target, Tensor) and made:
            self._write(target, numbers[0])
            return numbers
        return self._noted(made, numbers)

    def _stacked(self, name: str, args: Any, operands: Sequence[int]) -> list[int]:
        """Return the nodes of what an operator takes back out of what was put side by side; none if it does not."""
        node = self.nodes[operands[0]] if len(operands) == 1 else None
        if node is None or node.operator != "stack" or len(node.operands) < 2 or name not in {"select", "unbind"}:
            return []
        if (args[1] if len(args) > 1 else 0) % args[0].ndim != node.axis:
            return []
        return list(node.operands) if name == "unbind" else [node.operands[args[2]]]

    def _difference(self, number: int) -> int:
        """Return a node with a difference in whatever order in the stead of one in its own, and any other as it is."""
        node = self.nodes[number]
        if node.operator != "sub" or len(node.operands) != 2 or node.kind[2]:
            return number
        return self.add(("difference",), [self.add(("one side",), [side]) for side in node.operands])

    def describe(self, number: int, value: Value) -> None:
        """Note what lives along the axes of a node; of one place alone, by which unit it is told, not by number."""
        node = self.nodes[number]
        units = tuple(int(layer.reshape(-1)[0]) for layer in value.lone)
        operands = tuple(number for number in node.operands if number not in self._single)
        if node.operator not in {LEAF, PICKED} and units and min(units) >= 0 and len(operands) == 1:
            node = Node((PICKED, value.shape, node.operator == "eq"), operands, units=units)
        self.nodes[number] = replace(node, labels=value.labels)

    def _piece(self, name: str, args: Any) -> tuple[str, dict[int, int], int, int] | None:
        """Return the parameter that an operator takes pieces of, where, along which axis, and which it takes first.

        That is None if it takes none: a piece is that of a parameter, or of such a piece, along the next of its axes.
        """
        if name not in {"unbind", "select", "index"} or not args or not isinstance(args[0], Tensor):
            return None
        parameter = self._name_of(args[0])
        within: dict[int, int] = {}
        if parameter is None and args[0] in self._made:
            parameter, within = self.pieces.get(self.nodes[self._read(args[0])].name, (None, within))
        axes = self._stacks.get(parameter, ()) if parameter is not None else ()
        if parameter is None or len(within) >= len(axes):
            return None
        following, rank = axes[len(within)], args[0].ndim
        axis = following - sum(before < following for before in within)
        if name == "unbind" and int(args[1] if len(args) > 1 else 0) % rank == axis:
            return parameter, within, following, 0
        if name == "select" and args[1] % rank == axis:
            return parameter, within, following, args[2] % args[0].shape[axis]
        if name == "index" and [k for k, index in enumerate(args[1]) if index is not None] == [axis]:
            number = self._constants.numbers(args[1][axis])
            if number is not None and number.ndim == 0:
                return parameter, within, following, int(number) % args[0].shape[axis]
        return None

    def _add_piece(self, parameter: str, at: dict[int, int], tensor: Tensor) -> int:
        name = _name_of_piece(parameter, at)
        self.pieces[name] = parameter, at
        return self.add((LEAF, tuple(tensor.shape)), name=name)

    def _put(self, kind: tuple[Any, ...], operands: list[int]) -> tuple[tuple[Any, ...], list[int]]:
        """Return what is added to at places, if a number is put there that is the sum of what was there and another."""
        base, *places, value = *self._masks(operands[:-1]), operands[-1]
        if kind[1][-1] is True:
            return ("add",), [base, self.add((PUT, kind[1][:2]), [*places, value])]
        terms = list(self.nodes[value].operands)
        for old in terms if self.nodes[value].operator == "add" else ():
            if self.nodes[old].operator == "index" and self._masks(self.nodes[old].operands) == [base, *places]:
                terms.remove(old)
                return ("add",), [base, self.add((PUT, kind[1][:2]), [*places, *terms])]
        told = self._told_by_name(places[0]) if len(places) == 1 else None
        if told is not None and len(operands) - 2 == len(self.nodes[places[0]].kind[1]):
            return (OVERWRITTEN, told), [base, self.add((PUT, kind[1][:2]), [*places, value])]
        return kind, operands

    def _told_by_name(self, number: int) -> int | None:
        """Return a number for what a node tells the places of one name in, as no two names are at one; None if none."""
        node = self.nodes[number]
        while node.operator == "unsqueeze":
            node = self.nodes[node.operands[0]]
        if node.operator != PICKED or not node.kind[2]:
            return None
        if node.operands[0] not in self._by_name:
            self._by_name.append(node.operands[0])
        return self._by_name.index(node.operands[0])

    def _masks(self, operands: Sequence[int]) -> list[int]:
        """Return nodes with conditions in the stead of lists of the places where they are so."""
        found: list[int] = []
        for number in operands:
            node = self.nodes[number]
            listed = self.nodes[node.operands[0]] if node.operator == "unbind" else node
            number = listed.operands[0] if listed.operator == "nonzero" else number
            found += [number] if found[-1:] != [number] else []
        return found

    def _kind(self, given: Any, operands: list[int]) -> Any:
        """Return arguments with tensors left out, whose nodes are added to `operands`."""
        if isinstance(given, Tensor):
            operands.append(self._read(given))
            return Tensor
        if isinstance(given, list | tuple):
            return tuple(self._kind(each, operands) for each in given)
        return given if isinstance(given, int | float | str | None) else str(given)

    def _noted(self, made: Sequence[Tensor], numbers: Sequence[int]) -> list[int]:
        for tensor, number in zip(made, numbers, strict=False):
            self._note(tensor, number)
        return list(numbers)

    def _note(self, tensor: Tensor, number: int) -> None:
        storage = storage_of(tensor)
        self._made[tensor] = (number, self._writes.get(storage, 0))
        if tensor.numel() == 1 and self._constants.numbers(tensor) is not None:
            self._single.add(number)
        self._whole.setdefault(storage, number)

    def _write(self, target: Tensor, number: int) -> None:
        """Note that what a node says was written into a tensor, and thereby into all views of its storage."""
        storage = storage_of(target)
        self._read(target)
        count = target.untyped_storage().nbytes() // max(target.element_size(), 1)
        if target.numel() != count or 0 in target.stride():
            self._whole[storage] = self.add(("written", *_place(target)), [self._whole[storage], number])
        else:
            self._whole[storage] = number
        self._writes[storage] = self._writes.get(storage, 0) + 1
        self._made[target] = (number, self._writes[storage])

    def _read(self, tensor: Tensor) -> int:
        """Return the node of what a tensor holds now."""
        storage = storage_of(tensor)
        writes = self._writes.get(storage, 0)
        made = self._made.get(tensor)
        if made is not None and made[1] == writes:
            return made[0]
        if writes:
            number = self.add(("a view", *_place(tensor)), [self._whole[storage]])
        elif (name := self._name_of(tensor)) is not None:
            number = self.add((LEAF,), name=name)
        elif (numbers := self._constants.numbers(tensor)) is not None:
            kind = (CONSTANT, tuple(numbers.shape), str(numbers.dtype), _digest(numbers))
            self._whole[storage] = self.add(kind)  # and no more: constants are written into unseen
            self._single.add(self._whole[storage])
            return self._whole[storage]
        else:
            beneath = [self._whole[storage]] if storage in self._whole else []
            number = self.add(("made otherwise", _place(tensor) if beneath else len(self.nodes)), beneath)
        self._note(tensor, number)
        return number


def _name_of_piece(parameter: str, at: Mapping[int, int]) -> str:
    return parameter + "".join(f"[{k}]" for k in at.values())


def _place(tensor: Tensor) -> tuple[Any, ...]:
    return tuple(tensor.shape), tensor.stride(), tensor.storage_offset()


def _digest(numbers: Tensor) -> bytes:
    content = numbers.detach().resolve_conj().contiguous().view(-1).view(torch.uint8).numpy().tobytes()
    return hashlib.blake2b(content, digest_size=16).digest()
