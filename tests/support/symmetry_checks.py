"""Properties of a derived symmetry, for any network: true, complete, and no axis for nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from landscape_cli.forward.outputs import all_outputs
from landscape_cli.symmetry import (
    Symmetry,
    flip,
    permute,
    random_permutations,
    random_signs,
    rescale,
    trace_symmetry,
)
from tests.support.cases import random_factors

EXACT = 1e-9


@dataclass
class Net:
    """A network in float64 whose tensors are all random, what was derived of it, and a batch of inputs."""

    model: nn.Module
    params: dict[str, Tensor]
    symmetry: Symmetry
    inputs: Tensor

    def outputs(self, params: Mapping[str, Tensor]) -> list[Tensor]:
        """Return the outputs of `params` on the inputs, each output that there is."""
        with torch.no_grad():
            found = torch.func.functional_call(self.model, dict(params), (self.inputs,), tie_weights=False)
        return list(all_outputs(found))

    def deviation(self, params: Mapping[str, Tensor], factor: float = 1.0) -> float:
        """Return by how much the outputs differ from `factor` times what they were, relative to the largest."""
        before, after = self.outputs(self.params), self.outputs(params)
        assert len(before) == len(after)
        gaps = [
            float((new - factor * old).abs().max() / (factor * old).abs().max().clamp(min=1e-6))
            for old, new in zip(before, after, strict=True)
        ]
        return max(gap if gap == gap else float("inf") for gap in gaps)


def randomised(model: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
    """Return tensors for a model without a zero or a one among them; shared ones stay shared, variances positive."""
    found: dict[int, Tensor] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        if id(tensor) in found or not tensor.is_floating_point():
            found.setdefault(id(tensor), tensor.detach().clone())
            continue
        noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
        positive = name.endswith(("running_var", "variance"))
        found[id(tensor)] = torch.exp(noise / 2) if positive else tensor.detach().double() + 0.4 * noise
    return {name: found[id(tensor)] for name, tensor in model.state_dict(keep_vars=True).items()}


def make_net(
    model: nn.Module,
    shape: tuple[int, ...],
    *,
    seed: int = 0,
    batch: int = 5,
    strict: bool = False,
    words: int | None = None,
) -> Net:
    """Return a network with everything that the properties need; it reads real numbers, or whole ones below `words`."""
    generator = torch.Generator().manual_seed(seed)
    model = model.double().eval().requires_grad_(False)
    params = randomised(model, generator)
    if words is None:
        inputs = torch.randn(batch, *shape, generator=generator, dtype=torch.float64)
    else:
        inputs = torch.randint(words, (batch, *shape), generator=generator)
    return Net(model, params, trace_symmetry(model, inputs[:2], strict=strict), inputs)


def random_element(net: Net, seed: int, spread: float = 1.0) -> tuple[dict[str, Tensor], float]:
    """Return the network under a random element of all its symmetries, and the factor of its outputs."""
    generator = torch.Generator().manual_seed(seed)
    factor = 3.5 if net.symmetry.output else 1.0
    moved = permute(net.params, net.symmetry, random_permutations(net.symmetry, generator=generator))
    moved = rescale(moved, net.symmetry, random_factors(net.symmetry, seed, spread), output=factor)
    return flip(moved, net.symmetry, random_signs(net.symmetry, generator=generator)), factor


def check_true(net: Net, seeds: range = range(2)) -> None:
    """Check that random elements of the symmetry keep the function."""
    for seed in seeds:
        moved, factor = random_element(net, seed)
        gap = net.deviation(moved, factor)
        assert gap < EXACT, f"{gap:.1e}: {blame(net, seed)}"


def blame(net: Net, seed: int = 0) -> list[str]:
    """Return the groups that change the function one at a time."""
    found, s = [], net.symmetry
    generator = torch.Generator().manual_seed(seed)
    for kind, perms in random_permutations(s, generator=generator).items():
        if net.deviation(permute(net.params, s, {kind: perms})) > EXACT:
            found.append(f"permutation {kind}")
    for name, factors in random_factors(s, seed).items():
        if net.deviation(rescale(net.params, s, {name: factors})) > EXACT:
            found.append(f"scale {name}")
    for group in s.signs:
        if net.deviation(flip(net.params, s, {group.name: -torch.ones(group.size)})) > EXACT:
            found.append(f"sign {group.name}")
    if s.output and net.deviation(rescale(net.params, s, {}, output=2.0), 2.0) > EXACT:
        found.append("output")
    return found


def rotation(size: int, blocks: int) -> Tensor:
    """Return a permutation without a fixed point, each unit kept in its block."""
    return (torch.arange(size).roll(1) + size * torch.arange(blocks)[:, None]).flatten()


def idle_axes(net: Net) -> list[str]:
    """Return the axes that can be left out of their group with no change of the function."""
    found, s = [], net.symmetry
    for group in s.permutations:
        shift = {group.name: rotation(group.size, group.blocks)}
        for axis in group.axes if len(group.axes) > 1 else ():
            axes = tuple(other for other in group.axes if other is not axis)
            broken = replace(s, permutations=(replace(group, axes=axes),))
            if net.deviation(permute(net.params, broken, shift)) < 1e-6:
                found.append(f"permutation {group.name}: {axis.tensor} {axis.dims}")
    for scaled_group in s.scales:
        factors = {scaled_group.name: 2.0 + torch.arange(scaled_group.size, dtype=torch.float64)}
        for scaled in scaled_group.axes if len(scaled_group.axes) > 1 else ():
            rest = tuple(other for other in scaled_group.axes if other is not scaled)
            broken = replace(s, scales=(replace(scaled_group, axes=rest),))
            if net.deviation(rescale(net.params, broken, factors)) < 1e-7:
                found.append(f"scale {scaled_group.name}: {scaled.axis.tensor} {scaled.axis.dims}")
    for sign_group in s.signs:
        signs = {sign_group.name: torch.arange(sign_group.size) % 2 * 2.0 - 1}  # of two factors of a product one
        for axis in sign_group.axes if len(sign_group.axes) > 1 else ():
            axes = tuple(other for other in sign_group.axes if other is not axis)
            broken = replace(s, signs=(replace(sign_group, axes=axes),))
            if net.deviation(flip(net.params, broken, signs)) < 1e-6:
                found.append(f"sign {sign_group.name}: {axis.tensor} {axis.dims}")
    return found


def uncovered(net: Net) -> list[tuple[str, int]]:
    """Return the axes longer than 1 of floating-point tensors that are neither in a group nor fixed for a reason."""
    s = net.symmetry
    groups = (*s.permutations, *s.modules)
    axes = [axis for group in groups for axis in group.axes]
    covered = {(name, dim) for axis in axes for name in s.tensors_of(axis.tensor) for dim in axis.dims}
    covered |= {(axis.tensor, axis.dim) for axis in s.fixed if axis.reason}
    return [
        (name, dim)
        for name, tensor in net.params.items()
        if tensor.is_floating_point()
        for dim, size in enumerate(tensor.shape)
        if size > 1 and (name, dim) not in covered
    ]
