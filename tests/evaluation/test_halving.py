"""Where memory is short, fewer networks and samples are taken at a time, with the same results."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from landscape_cli.data.source import Split
from landscape_cli.errors import ModelError
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.evaluation.halving import Halving
from landscape_cli.evaluation.runners import Batch, OneByOne
from landscape_cli.evaluation.shared_layers import LEAST_FAN_IN
from landscape_cli.evaluation.stacked import Stacked
from landscape_cli.forward.objectives import CLASSIFICATION
from landscape_cli.geometry.linear import LinearPath

SAMPLES, INPUTS, CLASSES = 37, 5, 3


class Hungry(nn.Module):
    """A layer that runs out of memory where it sees more samples, or more networks, than there is room for."""

    words = "DefaultCPUAllocator: can't allocate memory: buy more"

    def __init__(self, *, room: int, error: type[Exception] = torch.OutOfMemoryError) -> None:
        super().__init__()
        self.layer = nn.Linear(INPUTS, CLASSES).double()
        self.room, self.error, self.sizes = room, error, list[int]()

    def forward(self, x: Tensor) -> Tensor:
        stacked = torch._C._functorch.is_batchedtensor(self.layer.weight)
        networks = len(torch._C._functorch.get_unwrapped(self.layer.weight)) if stacked else 1
        self.sizes.append(networks * len(x))
        if networks * len(x) > self.room:
            raise self.error(self.words)
        return self.layer(x)


def networks(count: int) -> list[dict[str, Tensor]]:
    source = torch.Generator().manual_seed(0)
    shapes = {name: tensor.shape for name, tensor in Hungry(room=1).state_dict().items()}
    drawn = [{name: torch.randn(s, generator=source) for name, s in shapes.items()} for _ in range(count)]
    return [{name: tensor.double() for name, tensor in network.items()} for network in drawn]


def data() -> Split:
    source = torch.Generator().manual_seed(1)
    return Split(torch.randn(SAMPLES, INPUTS, generator=source), torch.randint(CLASSES, (SAMPLES,), generator=source))


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, MemoryError, RuntimeError])
@pytest.mark.parametrize("room", [1, 2, 7, 36, 37])
def test_results_stay(room: int, error: type[Exception]) -> None:
    expected = Evaluator(Hungry(room=99), data(), batch_size=20).evaluate(networks(10))["data"]
    model = Hungry(room=99, error=error)
    evaluator = Evaluator(model, data(), batch_size=20)
    model.room = room
    found = evaluator.evaluate(networks(10))["data"]
    assert found.wrong.tolist() == expected.wrong.tolist()
    assert torch.allclose(found.loss, expected.loss, rtol=1e-12)
    assert evaluator.predictions(networks(1)[0], "data").shape == (SAMPLES,)
    failed = [size for size in model.sizes if size > room]
    assert len(failed) <= 9, "what did not fit is tried again and again"


def test_progress_counts_every_sample_once() -> None:
    model, done = Hungry(room=99), list[int]()
    evaluator = Evaluator(model, data(), advance=done.append)
    model.room = 5
    evaluator.evaluate(networks(3))
    assert sum(done) == 3 * SAMPLES


@pytest.mark.parametrize("room", [9, 20, 40, 60])
def test_a_stack_falls_apart_into_smaller_ones(room: int) -> None:
    """Eight networks on 20 samples are 160 rows at once; whole stacks first get smaller, then batches."""
    model, split, chunk = Hungry(room=999), data(), networks(8)
    batch = Batch("data", 0, split.x[:20], split.y[:20])
    expected = list(OneByOne(model, CLASSIFICATION).load(chunk)(batch))
    stacked = Stacked(model, CLASSIFICATION, split.x[:2])

    class Either:
        def load(self, chunk: list[dict[str, Tensor]]) -> object:
            return stacked.load(chunk) or OneByOne(model, CLASSIFICATION).load(chunk)

    halving = Halving(Either(), torch.device("cpu"))  # type: ignore[arg-type]
    assert isinstance(halving.load(chunk)(batch), Tensor)
    model.room = room
    for _ in range(2):
        found = list(halving.load(chunk)(batch))
        assert all(torch.allclose(one, other, rtol=1e-12) for one, other in zip(found, expected, strict=True))
    assert max(model.sizes[-4:]) <= room


def test_one_network_that_does_not_fit_with_one_sample_is_one_line() -> None:
    model = Hungry(room=99)
    evaluator = Evaluator(model, data())
    model.room = 0
    with pytest.raises(ModelError, match=r"one network does not fit into the memory of cpu with one sample .*`dev"):
        evaluator.evaluate(networks(2))


def test_other_errors_are_not_shortages() -> None:
    model = Hungry(room=99, error=RuntimeError)
    evaluator = Evaluator(model, data())
    model.room, model.words = 0, "something else"
    with pytest.raises(ModelError, match="the forward pass fails"):
        evaluator.evaluate(networks(2))


def test_first_layers_that_networks_share_are_of_the_batch_at_hand() -> None:
    class Wide(Hungry):
        def __init__(self, *, room: int) -> None:
            super().__init__(room=room)
            self.layer = nn.Linear(LEAST_FAN_IN, CLASSES).double()

    ends = [{k: t + seed for k, t in Wide(room=1).state_dict().items()} for seed in (0, 1)]
    line = [*LinearPath(Wide(room=1), None, orders=1, seed=0).inner(*ends, 12)]
    split = Split(torch.randn(SAMPLES, LEAST_FAN_IN, generator=torch.Generator().manual_seed(1)), data().y)
    model = Wide(room=99)
    evaluator, expected = Evaluator(model, split, batch_size=20), Evaluator(Wide(room=99), split).evaluate(line)["data"]
    for room in (99, 15, 6):
        model.room = room
        assert torch.allclose(evaluator.evaluate(line)["data"].loss, expected.loss, rtol=1e-12)
