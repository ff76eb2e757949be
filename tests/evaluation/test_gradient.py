"""The gradient of the loss over a split: against one pass of PyTorch's own, shared tensors, one output."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli import Evaluator, Split
from landscape_cli.evaluation.gradient import loss_gradient
from tests.support.cases import make_case
from tests.support.normed import make_net


@pytest.mark.parametrize("batch_size", [None, 10, 2, 1])
@pytest.mark.parametrize("name", ["mlp", "mlp-sign", "lenet"])
def test_it_is_that_of_one_pass(name: str, batch_size: int | None) -> None:
    case = make_case(name)
    labels = torch.arange(16) % 2
    evaluator = Evaluator(case.model, Split(case.inputs, labels), batch_size=batch_size)
    found = loss_gradient(evaluator, case.params, case.symmetry.weights, "data")
    leaves = {key: tensor.clone().requires_grad_(True) for key, tensor in case.params.items()}
    logits = torch.func.functional_call(case.model, leaves, (case.inputs,))
    if logits.shape[1] == 1:
        loss = F.binary_cross_entropy_with_logits(logits[:, 0], labels.double())
    else:
        loss = F.cross_entropy(logits, labels)
    loss.backward()
    assert list(found) == list(case.symmetry.weights)
    for key, slope in found.items():
        assert torch.allclose(slope, leaves[key].grad, rtol=1e-9, atol=1e-12)


def test_statistics_are_constants_and_the_network_stays() -> None:
    net = make_net("chain")
    before = {key: tensor.clone() for key, tensor in net.params.items()}
    evaluator = Evaluator(net.model, Split(net.inputs, torch.arange(16) % 4))
    first = loss_gradient(evaluator, net.params, net.symmetry.weights, "data")
    net.model.train()
    again = loss_gradient(evaluator, net.params, net.symmetry.weights, "data")
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert all(torch.equal(before[key], net.params[key]) for key in before)


class Shared(nn.Module):
    """Two layers of one tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(5, 5, bias=False)
        self.two = nn.Linear(5, 5, bias=False)
        self.two.weight = self.one.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.two(torch.relu(self.one(x)))


def test_a_shared_tensor_has_one_gradient_under_each_name() -> None:
    torch.manual_seed(0)
    model, x, y = Shared(), torch.randn(8, 5), torch.arange(8) % 5
    found = loss_gradient(Evaluator(model, Split(x, y)), model.state_dict(), ["one.weight", "two.weight"], "data")
    F.cross_entropy(model(x), y).backward()
    for slope in found.values():
        assert torch.allclose(slope.float(), model.one.weight.grad, atol=1e-6)
