"""Products with the Hessian against the whole matrix (docs/method.md: Curvature)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from landscape_cli.choices import HessianMetric
from landscape_cli.data.source import Split
from landscape_cli.errors import GeometryError, ModelError
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.measures.hessian import Hessian
from tests.support.alignment_nets import Net as AlignmentNet
from tests.support.cases import make_case
from tests.support.hessians import dense_hessian
from tests.support.normed import make_net


class Tied(nn.Module):
    """Two layers that are one, and biases that are one, too."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.out = nn.Linear(5, 5), nn.Linear(5, 5), nn.Linear(5, 3)
        self.second.weight, self.second.bias = self.first.weight, self.first.bias

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.tanh(self.second(torch.tanh(self.first(x)))))


class Recurrent(nn.Module):
    """A recurrent layer whose fast kernels have no second derivatives."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.out = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.lstm(x)[0][:, -1])


class Once(torch.autograd.Function):
    """A square whose gradient has none."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.square()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, slope: Tensor) -> Tensor:
        return 2 * ctx.saved_tensors[0] * slope


class Rough(nn.Module):
    """A network with that square."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return Once.apply(self.out(x))


def labels(count: int, classes: int) -> Tensor:
    return torch.randint(classes, (count,), generator=torch.Generator().manual_seed(0))


def hessian_of(
    model: nn.Module, params: dict[str, Tensor], names: list[str], data: Split, metric: str = "relative", size: int = 64
) -> Hessian:
    evaluator = Evaluator(model, {"train": data}, batch_size=size)
    return Hessian(evaluator, params, names, "train", metric=HessianMetric(metric))


def matrix_of(hessian: Hessian) -> Tensor:
    """Return the whole matrix, a product for each column."""
    return torch.from_numpy(np.stack([hessian.product(row) for row in np.eye(hessian.size)], axis=1))


@pytest.mark.parametrize("metric", ["relative", "euclidean"])
@pytest.mark.parametrize("name", ["mlp-narrow", "mlp-sign", "mlp, float32", "batches"])
def test_equals_the_whole_matrix(name: str, metric: str) -> None:
    dtype = torch.float32 if "float32" in name else torch.float64
    case = make_case("mlp-narrow" if name == "batches" else name.split(",")[0], dtype=dtype)
    names = list(case.params)
    y = labels(16, 4 if "mlp," in name else 2)
    hessian = hessian_of(case.model, case.params, names, Split(case.inputs, y), metric, 12 if name == "batches" else 64)
    expected = dense_hessian(case.model, case.params, names, case.inputs, y, relative=metric == "relative")
    assert hessian.size == len(expected)
    assert hessian.dtype == np.dtype(str(dtype).removeprefix("torch."))
    close = {"rtol": 1e-4, "atol": 1e-5} if dtype is torch.float32 else {"rtol": 1e-9, "atol": 1e-12}
    torch.testing.assert_close(matrix_of(hessian), expected.double(), **close)
    assert hessian.products == hessian.size
    assert hessian.norm == pytest.approx(float(torch.cat([t.flatten() for t in case.params.values()]).norm()))


def test_batch_norm_with_statistics_that_are_constants() -> None:
    net = make_net("no-affine")
    names, y = ["0.weight"], labels(16, 4)
    hessian = hessian_of(net.model, net.params, names, Split(net.inputs, y))
    expected = dense_hessian(net.model, net.params, names, net.inputs, y)
    torch.testing.assert_close(matrix_of(hessian), expected, rtol=1e-9, atol=1e-12)


def test_attention() -> None:
    net = AlignmentNet("attention", 0)
    x, y, names = net.inputs[:8], labels(8, 4), ["embed.weight", "out.bias"]
    hessian = hessian_of(net.model, net.params, names, Split(x, y))
    expected = dense_hessian(net.model, net.params, names, x, y)
    torch.testing.assert_close(matrix_of(hessian), expected, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_recurrent_layers_have_second_derivatives(dtype: torch.dtype) -> None:
    model = Recurrent().to(dtype)
    x = torch.randn(6, 5, 3, generator=torch.Generator().manual_seed(0), dtype=dtype)
    params = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    hessian = hessian_of(model, params, ["lstm.weight_hh_l0"], Split(x, labels(6, 2)), "euclidean")
    matrix = matrix_of(hessian)
    assert float(matrix.abs().max()) > 1e-4
    torch.testing.assert_close(matrix, matrix.T, rtol=1e-4, atol=1e-7)


def test_a_shared_tensor_counts_once() -> None:
    model = Tied().double()
    params = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    x = torch.randn(9, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y, names = labels(9, 3), ["first.weight", "second.weight", "out.weight", "second.bias"]
    hessian = hessian_of(model, params, names, Split(x, y))
    once = ["first.weight", "out.weight", "first.bias"]
    tied = {"second.weight": "first.weight", "second.bias": "first.bias"}
    expected = dense_hessian(model, params, once, x, y, tied=tied)
    torch.testing.assert_close(matrix_of(hessian), expected, rtol=1e-9, atol=1e-12)
    assert list(hessian.tensors(hessian.ones())) == once


def test_half_precision_is_computed_in_float32() -> None:
    case = make_case("mlp-narrow", dtype=torch.float32)
    half = {name: tensor.bfloat16() for name, tensor in case.params.items()}
    rounded = {name: tensor.float() for name, tensor in half.items()}
    data = Split(case.inputs, labels(16, 2))
    pair = [hessian_of(case.model, params, ["fc1.weight"], data) for params in (half, rounded)]
    assert torch.equal(*(matrix_of(hessian) for hessian in pair))


def test_tensors_without_influence_give_zeros() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    model[1].weight.data.zero_()
    params = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    data = Split(torch.randn(5, 3), labels(5, 2))
    assert not matrix_of(hessian_of(model, params, ["0.bias"], data, "euclidean")).any()


def test_only_once_differentiable() -> None:
    model = Rough()
    params = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    hessian = hessian_of(model, params, ["out.weight"], Split(torch.randn(5, 3), labels(5, 2)))
    with pytest.raises(GeometryError, match=r"the model cannot be differentiated twice: .*once_differentiable"):
        hessian.product(hessian.ones())


def test_progress_and_what_stays_as_it_was() -> None:
    case = make_case("mlp-narrow", dtype=torch.float32)
    done: list[int] = []
    evaluator = Evaluator(case.model, {"train": Split(case.inputs, labels(16, 2))}, advance=done.append)
    before = {name: tensor.clone() for name, tensor in case.params.items()}
    hessian = Hessian(evaluator, case.params, ["fc1.weight"], "train", metric=HessianMetric.RELATIVE)
    hessian.product(hessian.ones())
    assert sum(done) == 16
    assert all(torch.equal(case.params[name], tensor) for name, tensor in before.items())
    assert not any(tensor.requires_grad for tensor in case.params.values())


def test_a_forward_pass_that_fails_with_gradients() -> None:
    class Picky(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            if self.weight.requires_grad:
                raise ValueError("no gradients, please")
            return super().forward(x)

    model = Picky(3, 2).requires_grad_(False)
    hessian = hessian_of(model, dict(model.state_dict()), ["weight"], Split(torch.randn(5, 3), labels(5, 2)))
    with pytest.raises(ModelError, match=r"fails on inputs .* with gradients: ValueError: no gradients, please"):
        hessian.product(hessian.ones())
