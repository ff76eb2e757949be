"""Convolutions as products of matrices give what convolutions give, and only those take part that are meant."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from landscape_cli.forward import unfolding
from landscape_cli.forward.memory import as_channels_last
from landscape_cli.forward.unfolding import UnfoldedConvolutions

SUITABLE: dict[str, dict[str, Any]] = {
    "plain": {},
    "padded": {"padding": 1, "bias": False},
    "oblong": {"padding": (0, 2), "stride": (2, 1), "kernel_size": (3, 4)},
    "of one place": {"kernel_size": 5, "stride": 3},
}
OTHERS: dict[str, dict[str, Any]] = {
    "dilated": {"dilation": 2},
    "grouped": {"groups": 2},
    "same": {"padding": "same"},
    "one by one": {"kernel_size": 1, "in_channels": 512},
    "few units": {"out_channels": 63},
    "few inputs": {"in_channels": 56},
    "circular": {"padding": 1, "padding_mode": "circular"},
}


def layer_of(setting: dict[str, Any]) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(**({"in_channels": 58, "out_channels": 66, "kernel_size": 3} | setting))


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("case", [*SUITABLE, *OTHERS])
def test_outputs_are_those_of_the_convolution(case: str, last: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    layer, taken = layer_of((SUITABLE | OTHERS)[case]), []
    plain = unfolding.unfolded
    monkeypatch.setattr(unfolding, "unfolded", lambda **given: taken.append(1) or plain(**given))
    x = torch.randn(3, layer.in_channels, 9, 7, generator=torch.Generator().manual_seed(1))
    x = as_channels_last(x) if last else x
    with torch.no_grad():
        expected = layer(x)
        with UnfoldedConvolutions():
            found = layer(x)
    assert bool(taken) == (case in SUITABLE or case == "circular")
    assert found.shape == expected.shape
    assert torch.allclose(found, expected, rtol=0, atol=1e-5)


def test_float64_and_single_images_are_left_alone() -> None:
    layer = layer_of({}).double()
    x = torch.randn(2, layer.in_channels, 5, 5, dtype=torch.float64)
    with torch.no_grad(), UnfoldedConvolutions():
        assert torch.equal(layer(x), torch.conv2d(x, layer.weight, layer.bias))
        assert torch.equal(layer(x[0]), torch.conv2d(x[:1], layer.weight, layer.bias)[0])
