"""Products of a network's Hessian with vectors: two backward passes over the data for each.

See docs/method.md: Curvature.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from landscape_cli.choices import HessianMetric
from landscape_cli.errors import GeometryError, one_line
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.evaluation.gradient import differentiable
from landscape_cli.forward.functional import as_inputs, errors_of_forward, run_with
from landscape_cli.network import Params

# A graph that is differentiated twice holds about four times what an evaluation needs of a sample.
BATCHES_OF_EVALUATOR = 4


class Hessian:
    """The Hessian of the mean loss on one split, as products with vectors.

    Coordinates are the entries of the named tensors, one after another, each tensor that goes by several names once.
    In the relative metric they are multiples of the weights: the matrix is D H D, D = diag(θ).

    Attributes:
        size: the number of coordinates.
        dtype: float32, or float64 for networks in float64.
        products: how many were computed so far.
        norm: the Euclidean norm of the named tensors.
    """

    # Tensors lie as PyTorch makes them: with channels last, double backward passes measured 5 to 10 % slower.

    def __init__(
        self, evaluator: Evaluator, params: Params, names: Sequence[str], split: str, *, metric: HessianMetric
    ) -> None:
        """Put the network on the evaluator's device.

        Args:
            evaluator: of the model; it has the data, the size of batches and the progress.
            params: the network, which its model fits.
            names: the tensors that are differentiated by.
            split: the name of the split of the evaluator's that the loss is of.
            metric: of the coordinates.
        """
        self._evaluator, self._model, self._data = evaluator, evaluator.model.eval(), evaluator.splits[split]
        self._split, self._metric, self._objective = split, metric, evaluator.objective
        self._network, self._leaves, self._kind = differentiable(evaluator, params, names)
        self._owners = tuple(self._leaves)
        self.dtype: Any = np.dtype("float64" if self._kind == torch.float64 else "float32")
        self.sizes = tuple(leaf.numel() for leaf in self._leaves.values())
        self.size = sum(self.sizes)
        flat = self._flat(list(self._leaves.values())).detach()
        self.norm = float(flat.double().norm())
        self._factors = flat if metric is HessianMetric.RELATIVE else None
        self.products = 0

    def product(self, vector: NDArray[Any]) -> NDArray[np.float64]:
        """Return the product with a vector, shape (size,), summed over batches in float64.

        Raises:
            GeometryError: if the network cannot be differentiated twice.
        """
        self.products += 1
        direction = torch.from_numpy(np.ascontiguousarray(vector, dtype=self.dtype)).to(self._evaluator.device)
        if self._factors is not None:
            direction = direction * self._factors
        parts = self._parts(direction)
        total = torch.zeros(self.size, dtype=torch.float64, device=direction.device)
        places = self._parts(total)
        size = max(1, self._evaluator.batch_size // BATCHES_OF_EVALUATOR)
        for x, y in zip(self._data.x.split(size), self._data.y.split(size), strict=True):
            for place, part in zip(places, self._batch_product(x, y, parts), strict=True):
                place += part
            if self._evaluator.advance is not None:
                self._evaluator.advance(len(y))
        total /= self._objective.count(self._data.y)
        if self._factors is not None:
            total *= self._factors
        product: NDArray[np.float64] = total.cpu().numpy()
        return product

    def signs(self, generator: torch.Generator) -> NDArray[Any]:
        """Return a vector of random signs, shape (size,)."""
        drawn: NDArray[Any] = (2 * torch.randint(2, (self.size,), generator=generator) - 1).numpy()
        return drawn.astype(self.dtype)

    def ones(self) -> NDArray[Any]:
        """Return the vector of ones, shape (size,)."""
        return np.ones(self.size, dtype=self.dtype)

    def tensors(self, vector: NDArray[Any]) -> dict[str, Tensor]:
        """Return a vector in the shapes of the tensors, by their first names, on the CPU."""
        return dict(zip(self._leaves, self._parts(torch.from_numpy(vector)), strict=True))

    def moved_to(self, params: Params) -> Hessian:
        """Return the Hessian at another network of the model, which goes on counting products."""
        moved = Hessian(self._evaluator, params, self._owners, self._split, metric=self._metric)
        moved.products = self.products
        return moved

    def _batch_product(self, x: Tensor, y: Tensor, parts: Sequence[Tensor]) -> list[Tensor]:
        leaves = list(self._leaves.values())
        with twice_differentiable(self._model):
            loss = self._objective.loss_sum(self._outputs(x), y)
            if not loss.requires_grad:
                return [torch.zeros_like(leaf) for leaf in leaves]
            try:
                slopes = torch.autograd.grad(loss, leaves, create_graph=True, allow_unused=True)
                pairs = [(s, part) for s, part in zip(slopes, parts, strict=True) if s is not None and s.requires_grad]
                if not pairs:  # the loss is linear in them
                    return [torch.zeros_like(leaf) for leaf in leaves]
                slope = torch.stack([(s * part).sum() for s, part in pairs]).sum()
                # Not by `grad`, which goes around what is only once differentiable, and so is silently wrong.
                slope.backward()
            except (RuntimeError, NotImplementedError) as cause:
                if isinstance(cause, torch.OutOfMemoryError):
                    raise
                raise GeometryError(f"the model cannot be differentiated twice: {one_line(cause)}") from cause
        products = [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves]
        for leaf in leaves:
            leaf.grad = None
        return products

    def _outputs(self, x: Tensor) -> Tensor:
        with errors_of_forward("inputs of the training set, with gradients"):
            return self._objective.outputs(run_with(self._model, self._network, as_inputs(x, self._kind).contiguous()))

    def _flat(self, tensors: Sequence[Tensor]) -> Tensor:
        return torch.cat([tensor.reshape(-1) for tensor in tensors])

    def _parts(self, vector: Tensor) -> list[Tensor]:
        """Return a vector in the shapes of the tensors."""
        pieces = zip(vector.split(self.sizes), self._leaves.values(), strict=True)
        return [piece.view(leaf.shape) for piece, leaf in pieces]


@contextmanager
def twice_differentiable(model: nn.Module) -> Iterator[None]:
    """Let attention, and recurrent layers on GPUs, compute by kernels whose gradients have gradients."""
    with ExitStack() as stack:
        stack.enter_context(torch.enable_grad())
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        if any(isinstance(module, nn.RNNBase) for module in model.modules()):
            stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        yield
