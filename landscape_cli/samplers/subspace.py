"""Training in a random affine subspace: of the weights θ₀ + B z, the coordinates z are trained.

See docs/method.md: Subspaces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from landscape_cli.arguments import check_kind, check_settings, check_whole
from landscape_cli.choices import Basis, check_choice
from landscape_cli.errors import ModelError, TrainingError
from landscape_cli.forward.functional import parameter_owners
from landscape_cli.models import construct_template
from landscape_cli.network import ModelSpec, Params
from landscape_cli.rng import generator
from landscape_cli.samplers.bases import LARGEST, Layout, RandomBasis
from landscape_cli.samplers.stack import Stack
from landscape_cli.samplers.streams import SUBSPACE


@dataclass(frozen=True)
class Subspace:
    """A random affine subspace of weight space, through the network that training starts from.

        [solution] = train(spec, data, subspace=Subspace(256, seed=7), seeds=[1])

    Attributes:
        dim: d, its dimension.
        seed: of its basis; None for each run's own.
        basis: how its basis is drawn: "disjoint" or "gaussian".

    Raises:
        TrainingError: if a setting is impossible.
    """

    dim: int
    seed: int | None = None
    basis: str = Basis.DISJOINT

    def __post_init__(self) -> None:
        check_settings(self, TrainingError)
        check_whole("dim", self.dim, TrainingError, least=1)
        if self.seed is not None:
            check_whole("seed", self.seed, TrainingError, least=0)
        check_choice("basis", self.basis, Basis, TrainingError)

    def check_fits(self, weights: int, bases: int = 1) -> None:
        """Check that a space of so many weights has such a subspace, and that there is memory for so many bases.

        Raises:
            TrainingError: if not.
        """
        if self.dim > weights:
            raise TrainingError(f"`subspace=` {self.dim} is too large: the model has {weights} weights")
        size = Basis(self.basis).load().size_of(weights, self.dim) * bases
        if self.basis == Basis.GAUSSIAN and size > LARGEST:
            runs = f" in {bases} runs" if bases > 1 else ""
            raise TrainingError(
                f"`subspace=` {self.dim} of {weights} weights needs {size / (1 << 30):.1f} GiB{runs}: "
                "say `basis=` disjoint"
            )

    def draw(self, weights: int, seed: int, layout: Layout = lambda vector, gap: vector) -> RandomBasis:
        """Return its basis in a space of so many weights.

        Args:
            weights: how many there are.
            seed: of the run, where it has none of its own.
            layout: how vectors hold the weights.
        """
        source = generator(self.seed_of(seed), SUBSPACE)
        basis: RandomBasis = Basis(self.basis).load().draw(weights, self.dim, source, layout)
        return basis

    def seed_of(self, run_seed: int) -> int:
        """Return the seed of its basis for a run."""
        return run_seed if self.seed is None else self.seed


@dataclass(frozen=True)
class Displacement:
    """How far training has come in a subspace.

    Attributes:
        dim: d, the subspace's dimension.
        of: D, that of the whole space.
        fraction: d/D.
        basis: how the basis was drawn.
        seed: of the basis.
        moved: ‖θ − θ₀‖.
        moved_relative: the same in units of ‖θ₀‖; None where that is zero.
    """

    dim: int
    of: int
    fraction: float
    basis: str
    seed: int
    moved: float
    moved_relative: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


class ConfinedStack:
    """The networks of a stack, each in its subspace: what is trained of them, and back again.

    A coordinate vector is a tensor of its own, so that it lies in memory as that of a network alone.

    Attributes:
        coordinates: z of each network, shape (dim,), with the gradients that its optimiser reads.
        start: θ₀ of each network, a row each, laid out as the stack's weights.
    """

    def __init__(self, stack: Stack, subspace: Subspace, seeds: Sequence[int]) -> None:
        """Begin at the networks as they stand.

        Args:
            stack: the networks, one a run.
            subspace: which one.
            seeds: of the runs.

        Raises:
            TrainingError: if the subspace is too large, or its basis.
        """
        self._stack, self._subspace = stack, subspace
        self._seeds = [subspace.seed_of(seed) for seed in seeds]
        device = stack.weights.device
        subspace.check_fits(stack.size, len(set(self._seeds)))
        drawn = {seed: subspace.draw(stack.size, seed, stack.lay_out).to(device) for seed in dict.fromkeys(self._seeds)}
        self._bases = [drawn[seed] for seed in self._seeds]
        self.start = stack.weights.clone()
        self.coordinates = [nn.Parameter(torch.zeros(subspace.dim, device=device)) for _ in seeds]

    def project(self, indices: Sequence[int]) -> list[Tensor]:
        """Give the coordinates of these networks the gradients that their weights have, and no others any."""
        for z in self.coordinates:
            z.grad = None
        gradients = []
        for k in indices:
            gradients.append(self._bases[k].project(self._stack.gradients[k]))
            self.coordinates[k].grad = gradients[-1]
        return gradients

    def decay(self, indices: Sequence[int], strength: float) -> None:
        """Add the projected gradient of an L2 penalty on the weights to those of the coordinates."""
        for k in indices:
            gradient = self.coordinates[k].grad
            assert gradient is not None
            gradient.add_(self._bases[k].project(self._stack.weights[k]), alpha=strength)

    def place(self, indices: Sequence[int]) -> None:
        """Put the weights of these networks where their coordinates say."""
        for k in indices:
            self._bases[k].move(self.start[k], self.coordinates[k].detach(), self._stack.weights[k])

    def displacement(self, k: int) -> Displacement:
        """Return how far network k has come."""
        start = self.start[k].double()
        moved, length = float((self._stack.weights[k].double() - start).norm()), float(start.norm())
        dim, of = self._subspace.dim, self._stack.size
        basis, seed = str.__str__(self._subspace.basis), self._seeds[k]
        return Displacement(dim, of, dim / of, basis, seed, moved, moved / length if length > 0 else None)


class ModelBasis:
    """The basis of a subspace of the weights of one model, by the names of its parameters.

    Attributes:
        shapes: of the parameters, in the order of the `state_dict`, a shared one once.
        weights: D, how many numbers these are.
        dim: d, how many columns the basis has.
    """

    def __init__(self, spec: ModelSpec, subspace: Subspace, seed: int) -> None:
        model = construct_template(spec)
        self.shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
        self.weights, self.dim = sum(shape.numel() for shape in self.shapes.values()), subspace.dim
        self._owners = parameter_owners(model)
        subspace.check_fits(self.weights)
        self._basis = subspace.draw(self.weights, seed)

    def combine(self, z: Tensor) -> dict[str, Tensor]:
        """Return B z, a change of each parameter by its name.

        Args:
            z: the coordinates, shape (dim,).

        Raises:
            TrainingError: if they are of another shape.
        """
        if not isinstance(z, Tensor) or z.shape != (self.dim,):
            raise TrainingError(f"`z=` must be a tensor of shape ({self.dim},)")
        change = torch.zeros(self.weights)
        self._basis.move(torch.zeros(self.weights), z.float(), change)
        pieces = change.split([shape.numel() for shape in self.shapes.values()])
        return {name: piece.view(shape) for (name, shape), piece in zip(self.shapes.items(), pieces, strict=True)}

    def at(self, start: Params, z: Tensor) -> dict[str, Tensor]:
        """Return the network θ₀ + B z: `start` with its parameters moved, under all of their names.

        Args:
            start: θ₀, a network of the model.
            z: the coordinates, shape (dim,).

        Raises:
            TrainingError: if the coordinates are of another shape.
            ModelError: if a parameter is missing.
        """
        self._check(start)
        change = self.combine(z)
        moved = {name: start[name] + change[owner] for name, owner in self._owners.items() if name in start}
        return dict(start) | moved

    def project(self, tensors: Params) -> Tensor:
        """Return Bᵀ v, shape (dim,), such as the gradient in the subspace of that of the weights.

        Of a difference θ − θ₀ this is z, if the basis is orthonormal, as the disjoint one is.

        Args:
            tensors: v, a tensor for each parameter by its name; others are left out.

        Raises:
            ModelError: if one is missing.
        """
        self._check(tensors)
        return self._basis.project(torch.cat([tensors[name].reshape(-1).float() for name in self.shapes]))

    def _check(self, tensors: Params) -> None:
        for name, shape in self.shapes.items():
            if name not in tensors or tensors[name].shape != shape:
                raise ModelError(f"{name} must be there, of shape {tuple(shape)}: give a network of the basis's model")


def subspace_basis(spec: ModelSpec, subspace: Subspace, *, seed: int = 0) -> ModelBasis:
    """Return the basis of the subspace that a model's training is confined to (docs/method.md: Subspaces).

    It depends on nothing else, so that what was trained can be taken up again: of a solution of a run with this seed,
    trained from `start`, `basis.project({name: solution[name] - start[name] for name in basis.shapes})` is z.

    Args:
        spec: the model, such as `Checkpoint.model`.
        subspace: which subspace.
        seed: of the run: that of the basis where `subspace` names none.

    Returns:
        The basis: `combine` gives B z, `at` the network θ₀ + B z, `project` Bᵀ v.

    Raises:
        ModelError: if the model cannot be built.
        TrainingError: if the subspace is larger than the model, or its basis than memory should hold.
    """
    check_kind("spec", spec, ModelSpec, "give a ModelSpec, such as `Checkpoint.model`", ModelError)
    check_kind("subspace", subspace, Subspace, "give one, as in Subspace(64)", TrainingError)
    check_whole("seed", seed, TrainingError, least=0)
    return ModelBasis(spec, subspace, seed)
