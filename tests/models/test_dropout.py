"""Dropout in mlp and lenet: where it is, that nothing measured knows of it, and that it trains reproducibly."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from landscape_cli.errors import ModelError
from landscape_cli.models import build_model, create_model
from landscape_cli.models.registry import full_arguments, is_request_for
from landscape_cli.models.request import parse_request
from landscape_cli.network import ModelSpec
from landscape_cli.samplers import RSGD, SGD
from landscape_cli.samplers.streams import initial_params
from landscape_cli.symmetry import trace_symmetry
from tests.support.cases import SPECS
from tests.support.training import SEEDS, SHORT, equal, run


def with_dropout(name: str, fraction: float = 0.4) -> ModelSpec:
    spec = SPECS[name]
    return ModelSpec(spec.name, {**spec.arguments, "dropout": fraction}, spec.input_shape, spec.outputs)


@pytest.mark.parametrize("name", ["mlp", "lenet", "mlp-no-bias", "mlp-one-layer"])
def test_measured_it_is_not_there(name: str) -> None:
    spec = SPECS[name]
    plain, dropping = create_model(spec, seed=1).eval(), create_model(with_dropout(name), seed=1).eval()
    assert equal(plain.state_dict(), dropping.state_dict())
    x = torch.randn(5, *spec.input_shape, generator=torch.Generator().manual_seed(0))
    assert torch.equal(plain(x), dropping(x))
    assert trace_symmetry(plain, x) == trace_symmetry(dropping, x)
    assert torch.equal(plain.train()(x), plain(x))
    assert not torch.equal(dropping.train()(x), dropping(x))


@pytest.mark.parametrize(("name", "shapes"), [("mlp", [(12,), (9,)]), ("lenet", [(4, 12, 12), (6, 4, 4), (15,)])])
def test_every_layer_but_the_first_reads_through_it(name: str, shapes: list[tuple[int, ...]]) -> None:
    model, seen, last = create_model(with_dropout(name), seed=1).train(), [], {}

    def note(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        if isinstance(module, nn.Dropout):
            seen.append(tuple(output.shape[1:]))
            assert 0.2 < float((output == 0).float().mean()) < 0.95  # ReLU's zeros too
            last["output"] = output
        elif seen and module.parameters(recurse=False):
            assert torch.equal(inputs[0].flatten(1), last["output"].flatten(1))

    for module in model.modules():
        if not list(module.children()) and not isinstance(module, nn.ReLU | nn.Flatten):
            module.register_forward_hook(note)
    model(torch.randn(50, *SPECS[name].input_shape))
    assert seen == shapes


@pytest.mark.parametrize(("name", "sampler"), [("mlp", SGD()), ("mlp", RSGD(gamma_growth=10.0)), ("lenet", SGD())])
def test_it_trains_reproducibly(name: str, sampler: Any) -> None:
    spec = with_dropout(name)
    many = run(spec, sampler, SHORT)
    for seed, solution in zip(SEEDS, many, strict=True):
        [alone] = run(spec, sampler, SHORT, [seed])
        assert solution.params is not None
        assert alone.params is not None
        assert equal(solution.params, alone.params)
    [plain], [nothing] = run(SPECS[name], sampler, SHORT, [3]), run(with_dropout(name, 0.0), sampler, SHORT, [3])
    assert plain.params is not None
    assert nothing.params is not None
    assert many[0].params is not None
    assert equal(plain.params, nothing.params)
    assert not equal(plain.params, many[0].params)


def test_what_is_recorded_stays_what_it_was_without() -> None:
    for text in ("mlp", "mlp?dropout=0", "mlp?dropout=0.0"):
        assert full_arguments(parse_request(text)) == {"hidden": [512, 512, 512], "bias": True}
    assert full_arguments(parse_request("lenet?dropout=0.5"))["dropout"] == 0.5
    old = ModelSpec("mlp", {"hidden": [5], "bias": True}, (7,), 4)
    assert is_request_for(parse_request("mlp?hidden=[5]"), old)
    assert is_request_for(parse_request("mlp?hidden=[5]&dropout=0"), old)
    assert not is_request_for(parse_request("mlp?hidden=[5]&dropout=0.1"), old)
    assert build_model(old, initial_params(old, 0)).training is False


@pytest.mark.parametrize("name", ["mlp", "lenet"])
@pytest.mark.parametrize("fraction", [1, 1.0, -0.1, math.nan, math.inf, "0.3", None, True, [0.3]])
def test_what_is_no_fraction_is_refused(name: str, fraction: Any) -> None:
    with pytest.raises(ModelError, match="`dropout=` must be at least 0 and below 1"):
        create_model(with_dropout(name, fraction), seed=0)
