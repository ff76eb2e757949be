"""Which way networks run on a GPU, and that nothing waits for it."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor

from landscape_cli.data.source import Split
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.evaluation.stacked import Stacked
from landscape_cli.models import create_model
from landscape_cli.network import ModelSpec

LENET = ModelSpec("lenet", {}, (1, 28, 28), 10)
GIB = 1 << 30


def data(samples: int) -> Split:
    source = torch.Generator().manual_seed(0)
    y = torch.randint(10, (samples,), generator=source)
    return Split(torch.randn(samples, *LENET.input_shape, generator=source), y)


def networks(count: int, device: torch.device) -> list[dict[str, Tensor]]:
    states = [create_model(LENET, seed=seed).state_dict() for seed in range(count)]
    return [{name: tensor.to(device) for name, tensor in state.items()} for state in states]


@pytest.fixture
def cuda(gpu: torch.device) -> torch.device:
    if gpu.type != "cuda":
        pytest.skip("no GPU")
    return torch.device("cuda", torch.cuda.current_device())


@pytest.mark.parametrize(("samples", "expected"), [(40, True), (30000, False)])
def test_small_work_is_stacked(
    samples: int, expected: bool, cuda: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    stacks, run = [], Stacked._run

    def noted(self: Stacked, params: dict[str, Tensor], x: Tensor) -> Tensor:
        stacks.append(len(x))
        return run(self, params, x)

    monkeypatch.setattr(Stacked, "_run", noted)
    found = Evaluator(create_model(LENET, seed=0), data(samples), device=cuda).evaluate(networks(5, cuda))["data"]
    assert bool(stacks) == expected
    exact = Evaluator(create_model(LENET, seed=0), data(samples), device=cuda, batch_size=4096)
    alone = [float(exact.evaluate([network])["data"].loss) for network in networks(5, cuda)]
    assert found.loss.tolist() == pytest.approx(alone, rel=1e-6)


@pytest.mark.parametrize("precision", ["float32", "tf32", "bf16"])
def test_nothing_waits_for_the_device_in_the_loop(precision: str, cuda: torch.device) -> None:
    """Not more often for many networks and batches than for two of each."""
    counts = []
    for count, batch_size in (2, 50), (20, 10):
        evaluator = Evaluator(
            create_model(LENET, seed=0), data(100), device=cuda, batch_size=batch_size, precision=precision
        )
        chain = networks(count, cuda)
        evaluator.evaluate(chain[:2])  # what is tried is tried
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                evaluator.evaluate(chain)
            finally:
                torch.cuda.set_sync_debug_mode("default")
        counts.append(sum("synchroniz" in str(each.message) for each in caught))
    assert counts[1] <= counts[0] <= 5


def test_batches_halve_on_a_small_card(cuda: torch.device) -> None:
    """Half a GiB is left, and a batch of 60 000 images takes 2.8."""
    expected = Evaluator(create_model(LENET, seed=0), data(60000), device=cuda).evaluate(networks(2, cuda))["data"]
    evaluator = Evaluator(create_model(LENET, seed=0), data(60000), device=cuda, batch_size=60000)
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(cuda).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved(cuda) + GIB // 2) / total, cuda)
    try:
        found = evaluator.evaluate(networks(2, cuda))["data"]
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, cuda)
    assert torch.allclose(found.loss, expected.loss, rtol=1e-6)
    assert (found.wrong - expected.wrong).abs().max() <= 2
