"""Batch-norm by the batch: what a network in training mode computes, with gradients, and no statistics left behind."""

from __future__ import annotations

import torch
from torch import nn

from landscape_cli.evaluation.batch_statistics import BatchStatistics


def test_it_is_training_mode_without_dropout_and_without_traces() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten())
    model.append(nn.Linear(64, 5)).append(nn.BatchNorm1d(5)).eval()
    x = torch.randn(7, 2, 6, 6)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    by_running = model(x)
    with BatchStatistics():
        found = model(x)
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    model.train()
    model[3].eval()
    expected = model(x)
    torch.testing.assert_close(found, expected)
    assert not torch.allclose(found, by_running)
    slopes = [torch.autograd.grad(output.square().sum(), model[0].weight)[0] for output in (found, expected)]
    torch.testing.assert_close(*slopes, atol=1e-5, rtol=1e-4)
