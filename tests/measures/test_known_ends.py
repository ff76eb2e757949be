"""An end of many paths is measured once, and again where it changed."""

from __future__ import annotations

import torch
from torch import nn

from landscape_cli.measures.path import path
from landscape_cli.measures.path_evaluator import PathEvaluator
from landscape_cli.network import Params


class Counted(nn.Linear):
    """Counts how many networks are run on all samples."""

    runs = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.runs += len(x) == 9  # and not on two samples, to see what layers read
        return super().forward(x)


def test_ends_of_several_paths_are_measured_once() -> None:
    torch.manual_seed(0)
    model, data = Counted(4, 3), (torch.randn(9, 4), torch.arange(9) % 3)
    networks: list[Params] = [dict(nn.Linear(4, 3).state_dict()) for _ in range(3)]
    evaluator = PathEvaluator(model, data, like=networks[0], points=4)

    def measure(*stops: int) -> tuple[list[list[float]], int, int]:
        samples: list[int] = []
        before = model.runs
        result = evaluator.measure([networks[k] for k in stops], advance=samples.append)
        return result.losses["data"].tolist(), model.runs - before, sum(samples)

    def alone(*stops: int) -> list[list[float]]:
        separate = PathEvaluator(model, data, like=networks[0], points=4)
        return separate.measure([networks[k] for k in stops]).losses["data"].tolist()

    assert measure(0, 1) == (alone(0, 1), 4, 4 * 9)
    assert measure(1, 2) == (alone(1, 2), 3, 4 * 9)
    assert measure(2, 0) == (alone(2, 0), 2, 4 * 9)
    assert measure(0, 2, 1) == (alone(0, 2, 1), 4, 7 * 9)
    networks[1]["bias"].add_(1.0)
    assert measure(0, 1)[:2] == (alone(0, 1), 3)
    networks[0] = {name: tensor.clone() for name, tensor in networks[0].items()}
    assert measure(0, 1)[1] == 3
    assert measure(1, 1)[0] == path(model, networks[1], networks[1], data, points=4).losses["data"].tolist()
