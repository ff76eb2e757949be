"""Networks as the rows of one matrix."""

from __future__ import annotations

import pytest
import torch

from landscape_cli.samplers.stack import ALIGNMENT, Stack
from landscape_cli.samplers.streams import initial_params
from tests.support.cases import SPECS
from tests.support.training import CPU, RESNET, SEEDS

SPEC = SPECS["mlp"]


def test_stack_is_one_matrix() -> None:
    starts = [initial_params(SPECS["lenet"], 0, a) for a in range(2)]
    stack = Stack(SPECS["lenet"], starts, CPU, replicas=2)
    assert float(stack.weights.double().sum()) == pytest.approx(
        float(sum(t.double().sum() for start in starts for t in start.values()))
    )
    assert all(torch.equal(stack.params(1)[key], starts[1][key]) for key in starts[1])
    stack.weights[1] *= 2
    assert all(torch.equal(stack.params(1)[key], 2 * starts[1][key]) for key in starts[1])
    assert all(torch.equal(stack.params(0)[key], starts[0][key]) for key in starts[0])
    for k in (0, 1):
        stack.collect(k)
    stack.networks[0](torch.randn(3, *SPECS["lenet"].input_shape)).sum().backward()
    assert stack.gradients[0].abs().sum() > 0
    assert stack.gradients[1].abs().sum() == 0
    mean = {key: (starts[0][key] + 2 * starts[1][key]) / 2 for key in starts[0]}
    assert all(torch.allclose(stack.centre()[key], mean[key], atol=1e-7) for key in mean)
    assert Stack(SPEC, [initial_params(SPEC, 0, 0)], CPU).spread() == 0


def test_rows_and_parameters_are_aligned() -> None:
    stack = Stack(SPECS["lenet"], [initial_params(SPECS["lenet"], seed) for seed in SEEDS], CPU)
    for network in stack.networks:
        for parameter in network.parameters():
            assert parameter.data_ptr() % (4 * ALIGNMENT) == 0
    views = stack.views(stack.weights)
    for k, network in enumerate(stack.networks):
        for name, parameter in network.named_parameters():
            assert torch.equal(views[name][k], parameter)
            assert views[name][k].data_ptr() == parameter.data_ptr()


def test_a_row_with_the_buffers_of_a_network() -> None:
    stack = Stack(RESNET, [initial_params(RESNET, seed) for seed in (0, 1)], CPU)
    stack.networks[1].norm1.running_mean.fill_(7.0)
    found = stack.params(1, stack.weights[0])
    assert torch.equal(found["conv1.weight"], stack.params(0)["conv1.weight"])
    assert not torch.equal(found["conv1.weight"], stack.params(1)["conv1.weight"])
    assert bool((found["norm1.running_mean"] == 7.0).all())


def test_centre_of_statistics() -> None:
    stack = Stack(RESNET, [initial_params(RESNET, 0, k) for k in range(3)], CPU, replicas=3)
    for k, network in enumerate(stack.networks):
        network.norm1.running_mean.fill_(k)
        network.norm1.num_batches_tracked.fill_(7)
    centre = stack.centre()
    assert torch.equal(centre["norm1.running_mean"], torch.ones(2))
    assert centre["norm1.num_batches_tracked"] == 7
    assert centre["norm1.num_batches_tracked"].dtype == torch.int64
