"""Training the vertices of a connector, which is no algorithm of its own (docs/method.md: Connectors)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from landscape_cli.samplers.sampler import Sampler
from landscape_cli.samplers.streams import POINTS

if TYPE_CHECKING:
    from landscape_cli.data.datasets import Split
    from landscape_cli.network import Params
    from landscape_cli.samplers.context import StepContext
    from landscape_cli.samplers.recipe import Recipe
    from landscape_cli.samplers.stack import Stack


@dataclass(frozen=True, eq=False)
class SimplexSGD(Sampler):
    """SGD on points drawn from a set of simplices, of which some vertices are trained and the others stay.

    For every mini-batch one simplex is drawn and one uniform point on it (weights -log u, normalised: Benton et al.,
    2021); the loss there is differentiated with respect to all trained vertices of that simplex (Garipov et al., 2018,
    for segments).

    Attributes:
        fixed: the vertices that stay.
        trained: how many are trained: the networks of the run.
        facets: the simplices, by the indices of their vertices: those that stay come first.
        spheres: by the name of a parameter, along which axis each slice is a unit on a sphere of its own (None: the
            whole is one): there a point is the mean of the vertices, scaled to the mean of their norms.
    """

    own_statistics = False
    uses_gradients = True
    one_batch = True

    fixed: Sequence[Params] = field(repr=False)
    trained: int
    facets: Sequence[tuple[int, ...]]
    spheres: Mapping[str, int | None] = field(default_factory=dict)

    @property
    def networks(self) -> int:
        """How many vertices are trained."""
        return self.trained

    @property
    def kept(self) -> int:
        """All of them are what comes out."""
        return self.trained

    def begin(self, stack: Stack, data: Sequence[Split], recipe: Recipe) -> dict[str, Tensor]:
        """Begin with the vertices that stay, shape (networks, entries), and the unit that each entry belongs to."""
        units = torch.zeros(1, stack.weights.shape[1], dtype=torch.int64, device=stack.weights.device)
        count = 1  # 0 is for what lies on no sphere
        for name, dim in self.spheres.items():
            view = stack.views(units)[name][0]
            size = 1 if dim is None else view.shape[dim]
            shape = [-1 if axis == dim else 1 for axis in range(view.dim())]
            view.copy_(torch.arange(count, count + size).view(shape))
            count += size
        return {"fixed": rows_of(stack, self.fixed), "units": units[0]}

    def step(self, context: StepContext) -> None:
        """Take a step of all vertices, by the gradient at one point of one simplex: the others' gradients are zero."""
        source = context.generator(0, POINTS)
        facet = self.facets[int(torch.randint(len(self.facets), (1,), generator=source))]
        weights = torch.empty(len(facet), dtype=torch.float64).exponential_(generator=source)
        weights = (weights / weights.sum()).float()
        corners = self._corners(context, facet).requires_grad_(bool(self.spheres))
        point = self._point(context, weights, corners)
        context.clear()
        context.backward_at(point.detach())
        gradients = context.stack.gradients
        slope = gradients[0].clone()
        gradients.zero_()
        if self.spheres:
            [slopes] = torch.autograd.grad(point, [corners], slope)
        else:
            slopes = weights.to(slope.device)[:, None] * slope
        for vertex, row in zip(facet, slopes, strict=True):
            if vertex >= len(self.fixed):
                gradients[vertex - len(self.fixed)] = row
        context.update()

    def judged(self, context: StepContext, run: int) -> Iterator[Params]:
        """Yield the barycentre of every simplex."""
        for facet in self.facets:
            weights = torch.full((len(facet),), 1 / len(facet))
            point = self._point(context, weights, self._corners(context, facet))
            yield context.stack.params(0, point)

    def _corners(self, context: StepContext, facet: Sequence[int]) -> Tensor:
        """Return the vertices of a simplex, shape (vertices, entries)."""
        fixed = len(self.fixed)
        stack, state = context.stack, context.state
        return torch.stack([stack.weights[k - fixed] if k >= fixed else state["fixed"][k] for k in facet])

    def _point(self, context: StepContext, weights: Tensor, corners: Tensor) -> Tensor:
        """Return the point with these weights, shape (entries,), differentiable."""
        stack, units = context.stack, context.state["units"]
        weights = weights.to(corners.device)
        point = weights @ corners
        if not self.spheres:
            return point
        ends, of = stack.views(corners), stack.views(point[None])
        ratios = [torch.ones_like(point[:1])]
        for name, dim in self.spheres.items():
            wanted, length = weights @ _norms(ends[name], dim), _norms(of[name], dim)[0]
            ratios.append(torch.where(length > 0, wanted / length.where(length > 0, 1.0), 1.0))
        return point * torch.cat(ratios)[units]


@dataclass(frozen=True, eq=False)
class OrthogonalSGD(Sampler):
    """SGD whose every step is orthogonal to the lines between networks: it keeps its place among them.

    Attributes:
        held: the networks, two or more.
    """

    uses_gradients = True

    held: Sequence[Params] = field(repr=False)

    def begin(self, stack: Stack, data: Sequence[Split], recipe: Recipe) -> dict[str, Tensor]:
        """Begin with an orthonormal basis of the differences of the networks, shape (networks - 1, entries)."""
        rows = rows_of(stack, self.held).double()
        basis = torch.linalg.qr((rows[1:] - rows[0]).T).Q
        return {"basis": basis.T.float().contiguous()}

    def step(self, context: StepContext) -> None:
        """Do a plain step without the part of the gradient within the networks' span."""
        context.clear()
        context.backward()
        gradients, basis = context.stack.gradients, context.state["basis"]
        gradients.sub_((gradients @ basis.T) @ basis)
        context.update()


def rows_of(stack: Stack, networks: Sequence[Params]) -> Tensor:
    """Return networks as rows like those of a stack's weights, shape (networks, entries)."""
    rows = stack.weights.new_zeros(len(networks), stack.weights.shape[1])
    for name, view in stack.views(rows).items():
        for row, network in zip(view, networks, strict=True):
            row.copy_(network[name])
    return rows


def _norms(tensors: Tensor, dim: int | None) -> Tensor:
    """Return the norms of the units of several tensors, shape (tensors, units)."""
    units = tensors.flatten(1)[:, None] if dim is None else tensors.movedim(dim + 1, 1).flatten(2)
    norms: Tensor = torch.linalg.vector_norm(units, dim=2)
    return norms
