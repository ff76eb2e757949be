"""How much is taken at a time: powers of two within memory, and on a GPU enough work."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from landscape_cli.forward import sizes
from landscape_cli.forward.memory import as_channels_last
from landscape_cli.forward.sizes import fitting_batch, layout_for, networks_together
from landscape_cli.forward.work import Work

CPU, GPU = torch.device("cpu"), torch.device("cuda")
GIB = 1 << 30
LENET, VGG16, MLP = Work(2_293_000, 11_520, 51_200), Work(313_000_000, 65_536, 589_824), Work(930_000, 784, 0)


@pytest.fixture(params=[8, 80])
def gib(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Let there be a GPU of so much memory."""
    card = SimpleNamespace(total_memory=request.param * GIB)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: card)
    return int(request.param)


@pytest.mark.parametrize("work", [LENET, VGG16, MLP, Work(1, 1 << 40, 0)])
def test_a_batch_fits(work: Work, gib: int) -> None:
    """The largest power of two for which it does, unless that is none, or very many."""
    windows = gib * GIB // sizes.SHARE_OF_WINDOWS
    for device, allowed in (CPU, sizes.ACTIVATION_BYTES), (GPU, gib * GIB // sizes.SHARE_OF_GPU):
        most = min(allowed // (4 * work.largest), windows // (4 * max(1, work.unfolded)) if device == GPU else 1 << 60)

        batch = fitting_batch(work, device, least=1)
        assert batch.bit_count() == 1
        assert batch <= max(1, most)
        assert 2 * batch > most or batch == 1 << 16
        least = 64 if device == GPU else min(64, fitting_batch(work, CPU, least=1, weights=GIB))
        assert fitting_batch(work, device, least=64) == max(least, batch)
        together = networks_together(work, batch, device)
        assert together == sizes.FEW_NETWORKS or device == GPU
        assert together == 1 or device == CPU or together * batch <= most
        assert networks_together(MLP, 1, GPU) == sizes.MOST_NETWORKS


def test_batches_that_were_measured_best_on_a_cpu() -> None:
    """MLP, LeNet, VGG16 and ResNet18 on 32 x 32, ResNet20, ResNet18 and ViT-B/16 on 224 x 224."""
    networks = [(784, 0), (11520, 0), (65536, GIB), (16384, GIB), (16384, 0), (802816, GIB), (605184, GIB)]
    found = [fitting_batch(Work(1, largest, 0), CPU, least=64, weights=weights) for largest, weights in networks]
    assert found == [2048, 256, 64, 256, 128, 8, 8]


@pytest.mark.parametrize(
    ("filters", "device", "short", "last"),
    [
        ([3, 64, 128], CPU, False, True),
        ([3, 64, 128], GPU, False, False),
        ([3, 64, 128, 256], GPU, False, True),
        ([3, 64, 128], GPU, True, True),
        ([1, 20, 50], GPU, True, False),
        ([1, 20, 50], CPU, True, True),
    ],
)
def test_channels_are_last_where_that_is_faster(
    filters: list[int], device: torch.device, short: bool, last: bool
) -> None:
    model = nn.Sequential(*(nn.Conv2d(a, b, 3) for a, b in pairwise(filters)))
    lay_out = layout_for(model, device, short=short)
    for x in (torch.randn(2, 8, 5, 5), as_channels_last(torch.randn(2, 8, 5, 5))):
        expected: Tensor = as_channels_last(x) if last else x.contiguous()
        assert lay_out(x).stride() == expected.stride()
