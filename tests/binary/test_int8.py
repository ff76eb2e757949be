"""Binary networks in whole numbers give the bits of the model, of int64 arithmetic and of each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from landscape_cli.binary import int8 as integers
from landscape_cli.binary.int8 import IntegerModel, is_faster, is_known
from landscape_cli.binary.layers import FixedPoint, Outputs, Sign, SignConv2d, SignLinear, Vote
from landscape_cli.data.datasets import Split
from landscape_cli.evaluation import whole_numbers
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.forward.functional import run_with
from landscape_cli.forward.outputs import UNDECIDED, decide
from landscape_cli.models import create_model
from landscape_cli.network import ModelSpec

SPECS = {
    "perceptron": ModelSpec("binary-perceptron", {}, (41,), 1),
    "perceptron-even": ModelSpec("binary-perceptron", {}, (2, 3, 4), 5),
    "committee": ModelSpec("committee", {}, (40,), 1),
    "committee-even": ModelSpec("committee", {"hidden": 10}, (7,), 1),
    "mlp": ModelSpec("binary-mlp", {"hidden": [33, 21]}, (1, 6, 6), 4),
    "mlp-even": ModelSpec("binary-mlp", {"hidden": [8, 6, 4]}, (9,), 3),
    "mlp-thin": ModelSpec("binary-mlp", {"hidden": [2]}, (3,), 2),
    "conv": ModelSpec("binary-conv", {"filters": [6, 11], "kernel": 3, "hidden": [17]}, (1, 14, 14), 3),
    "conv-colours": ModelSpec("binary-conv", {"filters": [6, 16], "hidden": [12, 16]}, (3, 21, 24), 10),
    "conv-one": ModelSpec("binary-conv", {"filters": [3, 6], "kernel": 2, "hidden": []}, (2, 14, 15), 1),
}
TYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


def data_for(spec: ModelSpec, samples: int) -> Split:
    source = torch.Generator().manual_seed(3)
    x = torch.randn(samples, *spec.input_shape, generator=source)
    x += 3 * torch.randn(samples, *[1] * len(spec.input_shape), generator=source)  # or deep networks say one thing
    x.view(-1)[::5] = 0.0
    x.view(-1)[1::7] = torch.tensor([1.0, -1.0, 5.0, -5.0, 1e30]).repeat(x.numel())[: len(x.view(-1)[1::7])]
    return Split(x, torch.randint(0, max(2, spec.outputs), (samples,), generator=source))


def network_of(spec: ModelSpec, seed: int, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Latents, some of them zeros of either sign."""
    params = {name: tensor.to(dtype) for name, tensor in create_model(spec, seed=seed).state_dict().items()}
    for tensor in params.values():
        tensor.view(-1)[::7] *= 0.0  # keeps the sign: -0.0 where it was negative
    return params


def reference(model: nn.Module, params: dict[str, Tensor], x: Tensor) -> tuple[NDArray[np.int64], float]:
    """Return the whole numbers before the scale, by int64 sums written out, and the scale."""
    dtype = next(iter(params.values())).dtype
    a = x.to(dtype).to(torch.promote_types(dtype, torch.float32)).numpy()
    scale = 1.0
    for name, layer in model.named_children():
        if isinstance(layer, nn.Flatten):
            a = a.reshape(len(a), -1)
        elif isinstance(layer, FixedPoint):
            odd = np.clip(2 * np.floor(a * a.dtype.type(15.5)) + 1, -127, 127)
            if layer.even_first:
                odd[:, 0] = np.clip(2 * np.round(a[:, 0] * a.dtype.type(15.5)), -126, 126)
            a = odd.astype(np.int64)
        elif isinstance(layer, SignLinear | SignConv2d):
            w = np.where(params[f"{name}.weight"].double().numpy() >= 0, 1, -1)
            if w.ndim == 4:
                a = np.lib.stride_tricks.sliding_window_view(a, w.shape[2:], axis=(2, 3))
                a = np.einsum("nchwij,fcij->nfhw", a, w)
            else:
                a = a @ w.T
        elif isinstance(layer, Sign):
            a = np.where(a >= 0, 1, -1)
        elif isinstance(layer, nn.MaxPool2d):
            n, c, h, w = a.shape
            a = a[:, :, : h // 2 * 2, : w // 2 * 2].reshape(n, c, h // 2, 2, w // 2, 2).max(axis=(3, 5))
        elif isinstance(layer, Vote):
            a = a.sum(axis=1, keepdims=True)
        elif isinstance(layer, Outputs):
            scale = layer.scale
        assert a.dtype == np.int64 or not isinstance(layer, Sign)
    return a, scale


def whole_logits(model: nn.Module, params: dict[str, Tensor], x: Tensor, **sizes: int) -> Tensor:
    assert is_known(model)
    whole = IntegerModel(model, **sizes)
    packed = whole.pack(params)
    levels = whole.levels(x.to(packed.dtype))
    assert levels is not None
    assert levels.dtype == torch.int8
    return whole.logits(packed, whole.prepare(levels), len(x))


def same_bits(a: Tensor, b: Tensor) -> bool:
    return a.dtype == b.dtype and a.contiguous().view(torch.uint8).equal(b.contiguous().view(torch.uint8))


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("name", SPECS)
def test_logits_are_those_of_the_model_and_of_int64(name: str, dtype: torch.dtype) -> None:
    spec = SPECS[name]
    model = create_model(spec, seed=0).eval()
    for seed, samples in ((1, 1), (2, 33), (3, 64)):
        x, params = data_for(spec, samples).x, network_of(spec, seed, dtype)
        expected = run_with(model, params, x.to(dtype)).detach()
        sums, scale = reference(model, params, x)
        assert same_bits(torch.from_numpy(sums).to(expected.dtype) * scale, expected)
        assert same_bits(whole_logits(model, params, x), expected)
        assert same_bits(whole_logits(model, params, x, multiple=8, fewest=32), expected)
        last = list(params)[-1]
        other = params | {last: torch.where(params[last] >= 0, -1.0, 1.0).to(dtype)}
        assert samples == 1 or not same_bits(whole_logits(model, other, x), expected)
        assert samples == 1 or len(expected.unique(dim=0)) > 1
    zeros = torch.cat([tensor[tensor == 0] for tensor in params.values()])
    assert sorted(zeros.signbit().unique().tolist()) == [False, True] or name == "mlp-thin"


def strict_product(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Let products be those that CUDA takes, and note their sizes."""
    product, sizes = torch._int_mm, []

    def strict(a: Tensor, b: Tensor, *, out: Tensor) -> Tensor:
        (m, k), n = a.shape, b.shape[1]
        if m <= 16 or k % 8 or n % 8:
            raise RuntimeError(f"sizes {m}, {k}, {n}")
        sizes.append((m, k, n))
        return product(a, b, out=out)

    monkeypatch.setattr(torch, "_int_mm", strict)
    return sizes


@pytest.mark.parametrize("name", SPECS)
def test_sizes_are_padded_for_devices_that_want_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = SPECS[name]
    model, params, x = create_model(spec, seed=0), network_of(spec, 1), data_for(spec, 5).x
    expected = whole_logits(model, params, x)
    sizes = strict_product(monkeypatch)
    with pytest.raises(RuntimeError, match="sizes"):
        whole_logits(model, params, x)
    cuda = {"multiple": integers.MULTIPLE["cuda"], "fewest": integers.FEWEST["cuda"]}
    assert same_bits(whole_logits(model, params, x, **cuda), expected)
    assert len(sizes) >= len(params)


@pytest.mark.parametrize("batch_size", [None, 1, 7, 1000])
@pytest.mark.parametrize("name", SPECS)
def test_evaluations_do_not_show_the_way(name: str, batch_size: int | None) -> None:
    spec = SPECS[name]
    splits = {"train": data_for(spec, 45), "test": data_for(spec, 20)}
    networks = [network_of(spec, seed, TYPES[seed % 4]) for seed in range(4)]
    results = []
    for way in (True, False, None):
        done: list[int] = []
        evaluator = Evaluator(
            create_model(spec, seed=0), splits, batch_size=batch_size, integers=way, advance=done.append
        )
        scores = evaluator.evaluate(iter(networks))
        predictions = torch.stack([evaluator.predictions(network, "test") for network in networks])
        assert sum(done) == 65 * 4
        results.append((scores, predictions))
    for scores, predictions in results[1:]:
        assert torch.equal(predictions, results[0][1])
        for split, found in scores.items():
            assert torch.equal(found.wrong, results[0][0][split].wrong)
            assert same_bits(found.loss, results[0][0][split].loss)
    assert len(results[0][0]["train"].loss.unique()) > 1


def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the products of whole numbers."""
    product, made = torch._int_mm, []

    def counted(*args: Any, **kwargs: Any) -> Tensor:
        made.append(1)
        return product(*args, **kwargs)

    monkeypatch.setattr(torch, "_int_mm", counted)
    return made


def test_the_way_is_that_asked_for_or_that_of_the_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = SPECS["mlp"]
    data, network = data_for(spec, 50), network_of(spec, 1)
    made = calls(monkeypatch)
    for verdict, way, products in ((False, True, 3), (True, False, 0), (True, None, 3), (False, None, 0)):
        trials: list[int] = []
        monkeypatch.setattr(
            whole_numbers, "is_faster", lambda *_, verdict=verdict, trials=trials: trials.append(1) or verdict
        )
        evaluator = Evaluator(create_model(spec, seed=0), data, batch_size=50, integers=way)
        made.clear()
        evaluator.evaluate([network])
        assert len(made) == products
        evaluator.evaluate([network] * 9)
        assert len(made) == 10 * products
        assert len(trials) == (way is None)  # once for an evaluator


def test_a_trial_wants_the_same_bits_in_less_time() -> None:
    place, one = torch.device("cpu"), torch.ones(2, 2)

    def slow() -> Tensor:
        return sum((torch.ones(300, 300) @ torch.ones(300, 300) for _ in range(20)), start=one[0, 0]) * 0 + 1

    def missing() -> Tensor:
        raise AttributeError("_int_mm")

    def refused() -> Tensor:
        raise RuntimeError("shape")

    assert is_faster(lambda: one, lambda: slow()[:2, :2], place)
    assert not is_faster(lambda: slow()[:2, :2], lambda: one, place)
    assert not is_faster(lambda: one + 1e-7, lambda: slow()[:2, :2], place)
    assert not is_faster(missing, slow, place)
    assert not is_faster(refused, slow, place)


@pytest.mark.parametrize("fault", ["missing", "refuses", "wrong"])
def test_floats_where_whole_numbers_fail(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = SPECS["conv"]
    data, network = data_for(spec, 50), network_of(spec, 1)
    expected = Evaluator(create_model(spec, seed=0), data, integers=False).evaluate([network])["data"]

    def refuse(*args: Any, **kwargs: Any) -> Tensor:
        raise RuntimeError("_int_mm: self.size(0) needs to be greater than 16")

    def wrong(a: Tensor, b: Tensor, *, out: Tensor) -> Tensor:
        return out.fill_(1)

    if fault == "missing":
        monkeypatch.delattr(torch, "_int_mm")
    else:
        monkeypatch.setattr(torch, "_int_mm", refuse if fault == "refuses" else wrong)
    found = Evaluator(create_model(spec, seed=0), data).evaluate([network])["data"]
    assert torch.equal(found.wrong, expected.wrong)
    assert same_bits(found.loss, expected.loss)


def test_inputs_that_are_nan_are_left_to_floats() -> None:
    spec = SPECS["perceptron"]
    for way in (True, False, None):
        evaluator = Evaluator(create_model(spec, seed=0), data_for(spec, 50), integers=way, batch_size=16)
        evaluator.splits["data"].x[7, 3] = float("nan")  # which it would have refused
        evaluator.splits["data"].x[8, 3] = float("inf")
        assert evaluator.evaluate([network_of(spec, 1)])["data"].undecided.tolist() == [1]
        assert evaluator.predictions(network_of(spec, 1), "data")[7] == UNDECIDED


class Doubled(Outputs):
    """Not what whole numbers compute."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


def test_other_models_are_left_to_floats() -> None:
    def chain(*middle: nn.Module) -> nn.Sequential:
        return nn.Sequential(nn.Flatten(), FixedPoint(even_first=False), SignLinear(9, 5), *middle)

    sign, last = Sign(9, ties=False), SignLinear(5, 2)
    assert is_known(chain(sign, last, Outputs(5)))
    assert is_known(chain(sign, Vote(), Outputs(5)))
    shared = SignLinear(5, 5)
    for other in (
        chain(sign, last, Doubled(5)),
        chain(sign, nn.Dropout(0.5), last, Outputs(5)),
        chain(sign, last),
        chain(last, Outputs(5)),
        chain(sign, shared, Sign(5, ties=False), shared, Outputs(5)),
        nn.Sequential(nn.Flatten(), SignLinear(9, 5), sign, last, Outputs(5)),
        nn.Sequential(nn.Flatten(), FixedPoint(even_first=False), Vote(), Outputs(9)),
        nn.Sequential(chain(sign, last, Outputs(5))),
        create_model(ModelSpec("mlp", {}, (9,), 2), seed=0),
        create_model(ModelSpec("binary-mlp", {"hidden": [1]}, (9,), 2), seed=0),
        nn.Linear(2, 2),
    ):
        assert not is_known(other)
    hooked = chain(sign, last, Outputs(5))
    hooked[-1].register_forward_hook(lambda module, args, result: -result)
    assert not is_known(hooked)
    conv = create_model(SPECS["conv"], seed=0)
    assert is_known(conv)
    conv.pool1.ceil_mode = True
    assert not is_known(conv)


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("outputs", [1, 2, 3, 10, 33, 1000])
def test_ties_go_to_the_first(outputs: int, dtype: torch.dtype) -> None:
    source = torch.Generator().manual_seed(outputs)
    logits = (torch.randint(-2, 3, (257, outputs), generator=source) * 0.37).to(dtype)
    logits[::9] *= -0.0  # zeros of both signs, all equal
    logits[5] = float("-inf")
    logits[6] = float("inf")
    expected = logits.double().numpy().argmax(axis=1) if outputs > 1 else (logits[:, 0] >= 0).long().numpy()
    last = outputs - 1 - logits.flip(1).double().numpy().argmax(axis=1)
    assert outputs == 1 or (last != expected).any()
    layouts = (
        logits,
        logits.t().contiguous().t(),
        torch.cat([logits, logits], dim=1)[:, :outputs],
        torch.stack([logits, logits + 1], dim=2)[..., 0],
        logits.repeat_interleave(2, dim=0)[::2],
    )
    for layout in layouts:
        assert decide(layout).tolist() == expected.tolist()
        assert decide(layout).dtype == torch.int64
    broken = logits.clone()
    broken[3, outputs // 2] = float("nan")
    assert decide(broken)[3] == UNDECIDED


@pytest.mark.parametrize("name", SPECS)
def test_a_gpu_gives_the_same_bits(name: str, gpu: torch.device) -> None:
    spec = SPECS[name]
    model, params, data = create_model(spec, seed=0), network_of(spec, 1), data_for(spec, 50)
    expected = torch.cat([logits for logits, _ in Evaluator(model, data, integers=True).logits([params], "data")], 1)
    for whole in (True, False):
        evaluator = Evaluator(model, data, device=gpu, batch_size=33, integers=whole)
        found = torch.cat([logits for logits, _ in evaluator.logits([params], "data")], 1)
        assert same_bits(found.cpu(), expected)
