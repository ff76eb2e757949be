"""Layers on a CPU by the faster of PyTorch's ways: the same values, in the layout that shapes say."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.forward import kernels
from landscape_cli.forward.kernels import Kernels, choose_kernels, halved
from landscape_cli.forward.memory import as_channels_last
from tests.support.reference import wrong


def small(channels: int = 64) -> nn.Sequential:
    """Its last filters are many for the one place of their result."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, channels, 3, padding=1),
        nn.MaxPool2d(2),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, channels, 3, stride=4),
        nn.Conv2d(channels, 300, 1),
        nn.Flatten(),
        nn.Linear(300, 5),
    ).eval()


@pytest.mark.parametrize("shape", [(2, 3, 8, 6), (2, 1, 7, 9), (1, 4, 2, 3)])
@pytest.mark.parametrize("lay_out", [as_channels_last, torch.Tensor.contiguous], ids=["last", "first"])
def test_halving_is_pooling(shape: tuple[int, ...], lay_out: Callable[[torch.Tensor], torch.Tensor]) -> None:
    x = lay_out(torch.randn(shape, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(halved(x), F.max_pool2d(x, 2))
    x[0, 0, 0, 0] = torch.nan
    x[0, 0, 0, 1] = torch.inf
    assert torch.equal(halved(x).isnan(), F.max_pool2d(x, 2).isnan())
    assert halved(x)[0, 0, 0, 0].isnan()


@pytest.mark.parametrize(
    ("pool", "halves"),
    [
        (nn.MaxPool2d(2), True),
        (nn.MaxPool2d((2, 2), stride=2), True),
        (lambda x: torch.max_pool2d(x, 2), True),
        (lambda x: F.max_pool2d(x, [2, 2], [2, 2], 0, 1, False), True),
        (nn.MaxPool2d(3), False),
        (nn.MaxPool2d(2, stride=1), False),
        (nn.MaxPool2d(2, padding=1), False),
        (nn.MaxPool2d(2, dilation=2), False),
        (nn.MaxPool2d(2, ceil_mode=True), False),
        (lambda x: F.max_pool2d(x, 2, return_indices=True)[0], False),
        (nn.AvgPool2d(2), False),
    ],
)
def test_which_pooling_halves(pool, halves: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    x, calls = torch.randn(2, 3, 7, 7), []
    monkeypatch.setattr(kernels, "halved", lambda images: calls.append(images) or F.max_pool2d(images, 2))
    expected = pool(x)
    with Kernels(halving=True).active():
        assert torch.equal(pool(x), expected)
    assert len(calls) == halves


def test_filters_that_are_many_for_few_places() -> None:
    x = torch.randn(2, 3, 8, 8)

    def chosen(model: nn.Module, inputs: torch.Tensor) -> Kernels:
        return choose_kernels(model, lambda: model(inputs))

    assert chosen(small(), x) == Kernels(frozenset({"3.weight"}), halving=True)
    assert chosen(small(8), x) == Kernels(frozenset(), halving=True)  # few channels
    assert chosen(nn.Linear(3, 3), torch.randn(2, 3)) == Kernels()
    assert chosen(nn.Sequential(nn.Conv2d(64, 512, 3, groups=2)), torch.randn(2, 64, 3, 3)) == Kernels()
    assert chosen(small().double(), x.double()).channels_first == frozenset()


def test_layout_of_filters_says_how_they_run() -> None:
    model, x = small(), as_channels_last(torch.randn(3, 3, 8, 8))
    ways = choose_kernels(model, lambda: model(x))
    params = {
        name: tensor if name in ways.channels_first else as_channels_last(tensor)
        for name, tensor in model.state_dict().items()
    }
    seen: list[bool] = []
    model[3].register_forward_hook(lambda module, args, output: seen.append(output.is_contiguous()))
    with torch.inference_mode():
        expected = model(x)
        with ways.active():
            found = torch.func.functional_call(model, params, (x,))
    assert torch.allclose(found, expected, atol=1e-6)
    assert params["3.weight"].is_contiguous()
    assert not params["0.weight"].is_contiguous()


def test_errors_are_those_of_the_plain_loop() -> None:
    model = small()
    source = torch.Generator().manual_seed(0)
    x, y = torch.randn(90, 3, 8, 8, generator=source), torch.randint(0, 5, (90,), generator=source)
    networks = [{name: tensor * scale for name, tensor in model.state_dict().items()} for scale in (0.5, 1.0, 2.0)]
    scores = Evaluator(small(), (x, y), batch_size=40).evaluate(networks)["data"]
    assert scores.wrong.tolist() == [wrong(model, network, x, y) for network in networks]
