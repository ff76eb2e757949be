"""Networks in shorter numbers: what that changes is counted, and where it makes no sense it is refused."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from landscape_cli import (
    barrier,
    connector,
    ensemble,
    line_around,
    optimize_midpoint,
    path,
    plane,
    plane_around,
    radial_profiles,
    trace_symmetry,
)
from landscape_cli.choices import Precision
from landscape_cli.data.source import Split
from landscape_cli.errors import ModelError, Remark
from landscape_cli.evaluation.arithmetic import SAMPLE, Arithmetic
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.forward.objectives import Regression
from landscape_cli.forward.sizes import FEW_NETWORKS
from landscape_cli.models import create_model
from landscape_cli.samplers import Recipe
from tests.support.training import MODELS

MODEL = create_model(MODELS["mlp"], seed=9).eval()
SOURCE = torch.Generator().manual_seed(2)
NETWORKS = [
    {name: torch.randn(tensor.shape, generator=SOURCE) for name, tensor in MODEL.state_dict().items()}
    for _ in range(FEW_NETWORKS + 1)
]
OUTPUTS = MODELS["mlp"].outputs


def data(samples: int = SAMPLE + 88) -> Split:
    source = torch.Generator().manual_seed(0)
    x = torch.randn(samples, *MODELS["mlp"].input_shape, generator=source)
    return Split(x, torch.randint(OUTPUTS, (samples,), generator=source))


def test_bf16_changes_decisions_and_counts_them() -> None:
    """The first network of each chunk on the first samples: two chunks here."""
    splits = {"train": data(), "test": data(30)}
    evaluator, exact = Evaluator(MODEL, splits, precision="bf16"), Evaluator(MODEL, splits)
    found, expected = (each.evaluate(NETWORKS)["train"].loss for each in (evaluator, exact))
    assert found.tolist() != expected.tolist()
    assert torch.allclose(found, expected, rtol=2e-2)
    changed = 0
    for name, samples in ("train", SAMPLE), ("test", 30):
        for k in (0, FEW_NETWORKS):
            ours, theirs = (each.predictions(NETWORKS[k], name)[:samples] for each in (evaluator, exact))
            changed += int((ours != theirs).sum())
    counted = evaluator.arithmetic.record()["changed_decisions"]
    assert counted == {"changed": 2 * changed, "compared": 2 * 2 * (SAMPLE + 30)}, "predictions count as well"
    assert changed > 0


@pytest.mark.parametrize("batch_size", [None, 50])
def test_tf32_is_float32_on_a_cpu(batch_size: int | None) -> None:
    evaluator = Evaluator(MODEL, data(), precision="tf32", batch_size=batch_size)
    exact = Evaluator(MODEL, data(), batch_size=batch_size).evaluate(NETWORKS)["data"]
    assert evaluator.evaluate(NETWORKS)["data"].loss.tolist() == exact.loss.tolist()
    assert evaluator.arithmetic.record()["changed_decisions"]["changed"] == 0
    with pytest.warns(Remark, match=r"in tf32, 0 of [\d,]+ decisions on a sample are others than in float32"):
        evaluator.arithmetic.tell()


def test_float32_says_nothing() -> None:
    evaluator = Evaluator(MODEL, data())
    evaluator.evaluate(NETWORKS)
    assert evaluator.arithmetic.record() == {}
    evaluator.arithmetic.tell()  # a warning would be an error


def test_without_decisions_losses_are_compared() -> None:
    y = torch.randn(40, OUTPUTS, generator=torch.Generator().manual_seed(1))
    evaluator = Evaluator(MODEL, Split(data(40).x, y, Regression()), precision="bf16")
    loss = evaluator.evaluate(NETWORKS[:1])["data"].loss
    [both] = evaluator.arithmetic.record().values()
    assert both["loss"] == pytest.approx(float(loss) * y.numel())
    assert both["float32"] == pytest.approx(both["loss"], rel=2e-2)
    assert both["float32"] != both["loss"]
    with pytest.warns(Remark, match=r"in bf16, the summed loss on a sample is [\d.]+, in float32 [\d.]+"):
        evaluator.arithmetic.tell()


def test_one_arithmetic_counts_for_several_evaluators() -> None:
    arithmetic = Arithmetic("bf16")
    for _ in range(2):
        Evaluator(MODEL, data(20), precision=arithmetic).evaluate(NETWORKS[:1])
    assert arithmetic.record()["changed_decisions"]["compared"] == 40


def other_networks() -> dict[str, dict[str, Tensor]]:
    return {
        "float64": {name: tensor.double() for name, tensor in NETWORKS[0].items()},
        "bfloat16": {name: tensor.bfloat16() for name, tensor in NETWORKS[0].items()},
    }


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
@pytest.mark.parametrize("kind", other_networks())
def test_networks_in_other_types_are_refused(kind: str, precision: str) -> None:
    network = other_networks()[kind]
    with pytest.raises(ModelError, match=rf"`precision=` {precision} is for networks in float32, .* in {kind}: leave"):
        Evaluator(MODEL, data(), precision=precision).evaluate([network])
    Evaluator(MODEL, data()).evaluate([network])


def test_binary_networks_and_unknown_precisions_are_refused() -> None:
    binary = MODELS["binary"]
    split = Split(torch.randn(9, *binary.input_shape), torch.zeros(9, dtype=torch.int64))
    with pytest.raises(ModelError, match="`precision=` bf16 is not for binary networks"):
        Evaluator(create_model(binary, seed=0), split, precision="bf16")
    with pytest.raises(ModelError, match="unknown precision 'float16': choose float32, tf32, bf16"):
        Evaluator(MODEL, data(), precision="float16")


FEW = data(60)
TRAINED: dict[str, Any] = {
    "spec": MODELS["mlp"],
    "symmetry": trace_symmetry(MODEL, FEW.x[:2]),
    "recipe": Recipe(1, until_error=1.0),
    "points": 3,
    "loss": True,
}
ANGLES = {"angles": (30.0,), "samples": 1}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "path": lambda **how: path(MODEL, *NETWORKS[:2], FEW, points=3, loss=True, **how),
    "barrier": lambda **how: barrier(MODEL, *NETWORKS[:2], FEW, points=3, loss=True, **how),
    "optimize_midpoint": lambda **how: optimize_midpoint(MODEL, *NETWORKS[:2], FEW, **TRAINED, **how),
    "connector": lambda **how: connector(MODEL, NETWORKS[:2], FEW, **TRAINED, **how),
    "ensemble": lambda **how: ensemble(MODEL, NETWORKS[:3], FEW, **how),
    "plane": lambda **how: plane(MODEL, *NETWORKS[:3], FEW, grid=2, loss=True, **how),
    "plane_around": lambda **how: plane_around(MODEL, NETWORKS[0], FEW, grid=2, loss=True, **how),
    "line_around": lambda **how: line_around(MODEL, NETWORKS[0], FEW, points=3, loss=True, **how),
    "radial_profiles": lambda **how: radial_profiles(MODEL, NETWORKS[0], FEW, loss=True, **ANGLES, **how),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_measured_in_bf16_says_what_that_changes(name: str) -> None:
    def function(**how: str) -> str:
        result = FUNCTIONS[name](**how)
        return repr(result if isinstance(result, dict) else result.to_dict())

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        exact, same = function(), function(precision="float32")
        of_float32 = [str(warning.message) for warning in caught]
        found = function(precision=Precision.BF16)
    assert same == exact
    assert found != exact
    assert not any("decisions on a sample" in text for text in of_float32)
    said = [str(warning.message) for warning in caught if "decisions on a sample" in str(warning.message)]
    assert [text.startswith("in bf16, ") for text in said] == [True]
    with pytest.raises(ModelError, match="precision"):
        function(precision="half")


def test_an_evaluator_has_its_own() -> None:
    with pytest.raises(ModelError, match="an Evaluator has its precision already: leave out `precision=`"):
        ensemble(Evaluator(MODEL, FEW), NETWORKS[:2], precision="bf16")
