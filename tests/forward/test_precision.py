"""Switches are set within, and are afterwards what they were: PyTorch's older ones, or the newer."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from landscape_cli.forward.precision import computing

CPU, GPU = torch.device("cpu"), torch.device("cuda")
OLDER = (torch.backends.cuda.matmul, torch.backends.cudnn)


def older() -> list[bool]:
    return [each.allow_tf32 for each in OLDER]


@pytest.mark.parametrize("before", [(True, True), (False, True), (False, False)])
@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_tf32_is_allowed_where_it_is_asked_for(precision: str, before: tuple[bool, bool]) -> None:
    at_first = older()
    try:
        for each, value in zip(OLDER, before, strict=True):
            each.allow_tf32 = value
        with pytest.raises(KeyError), computing(precision, GPU):  # noqa: PT012 - what is inside is the point
            assert older() == [precision == "tf32"] * 2
            raise KeyError
        assert older() == list(before)
        with computing(precision, CPU):
            assert older() == list(before)
    finally:
        for each, value in zip(OLDER, at_first, strict=True):
            each.allow_tf32 = value


def test_programs_with_the_newer_switches_keep_them() -> None:
    switches: list[Any] = [torch.backends.cuda.matmul, getattr(torch.backends.cudnn, "conv", None)]
    if not all(hasattr(each, "fp32_precision") for each in switches):
        pytest.skip("this PyTorch has the older switches alone")
    before, old = [each.fp32_precision for each in switches], older()
    try:
        for each in switches:
            each.fp32_precision = "tf32"
        with pytest.raises(RuntimeError, match="mix"):
            older()
        for precision, within in ("float32", "ieee"), ("tf32", "tf32"):
            with computing(precision, GPU):
                assert [each.fp32_precision for each in switches] == [within] * 2
            assert [each.fp32_precision for each in switches] == ["tf32"] * 2
    finally:
        for each, value in zip(switches, before, strict=True):
            each.fp32_precision = value
    assert older() == old


def test_bf16_casts_within() -> None:
    layer, x = torch.nn.Linear(3, 2), torch.randn(4, 3)
    with computing("bf16", CPU):
        assert layer(x).dtype == torch.bfloat16
    assert layer(x).dtype == torch.float32
