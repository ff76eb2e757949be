"""The training loop against the loop that everybody writes: python -m benchmarks.train [--models mlp,lenet,vgg16].

In one process on one thread, in turn: an epoch of SGD at batch 128 by a DataLoader over a TensorDataset, an
`nn.Module` and `optim.SGD`, and by ours; RSGD with 3 replicas against three times SGD; the whole space against a random
subspace of 256 dimensions (a ratio above 0.77 is within 1.3 times); and 8 runs in one stack against 8 processes one
after another. Prints ratios of CPU time (medians, the least and the most over repeats); with --device cuda of wall
time, the device's work included. `python -m benchmarks train` makes the first two comparisons alone.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.table import OURS, Row, cpu_seconds, interleaved, show
from landscape_cli.data.datasets import Split
from landscape_cli.errors import Remark
from landscape_cli.models import create_model
from landscape_cli.network import ModelSpec
from landscape_cli.samplers import RSGD, Recipe, Sampler, Subspace, train

SPECS = {
    "mlp": ModelSpec("mlp", {"hidden": [512, 512, 512]}, (1, 28, 28), 10),
    "lenet": ModelSpec("lenet", {}, (1, 28, 28), 10),
    "vgg16": ModelSpec("vgg16", {"hidden": [], "width": 16}, (3, 32, 32), 10),
}
SIZES = {"mlp": (6400, 1), "lenet": (2560, 1), "vgg16": (256, 8)}
"""Images and epochs: of VGG16, of a quarter of the width, several, since once at the end RSGD goes over the training
set for the statistics of the network that it ends with."""
REPLICAS, BATCH = 3, 128
"""Replicas, each on batches as large as those of the networks that they are compared with; by default they have a
third."""
RUNS = 8
SUBSPACE = Subspace(256)


def random_data(spec: ModelSpec, images: int) -> Split:
    """Return noise with labels: the time does not depend on what is learnt."""
    source = torch.Generator().manual_seed(0)
    x = torch.randn(images, *spec.input_shape, generator=source)
    return Split(x, torch.randint(0, spec.outputs, (images,), generator=source))


def plain(spec: ModelSpec, data: Split, epochs: int, device: torch.device) -> None:
    """Train as most scripts do."""
    model = create_model(spec, seed=0).to(device).train().requires_grad_(True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, nesterov=True)
    loader = DataLoader(TensorDataset(*data), batch_size=BATCH, shuffle=True)
    for _ in range(epochs):
        for x, y in loader:
            optimizer.zero_grad()
            F.cross_entropy(model(x.to(device)), y.to(device)).backward()
            optimizer.step()


def ours(
    spec: ModelSpec,
    data: Split,
    recipe: Recipe,
    seeds: list[int],
    device: torch.device,
    sampler: Sampler | None = None,
    subspace: Subspace | None = None,
) -> None:
    """Train by the stack."""
    train(spec, data, sampler, recipe=recipe, seeds=seeds, device=device, subspace=subspace)


def seconds_on(device: torch.device) -> float:
    """Return CPU seconds of this process and its children; on a GPU seconds, once it has done its work."""
    if device.type != "cuda":
        return cpu_seconds()
    torch.cuda.synchronize()
    return time.perf_counter()


def compare(
    work: str,
    size: str,
    way: str,
    slow: Callable[[], object],
    fast: Callable[[], object],
    repeats: int,
    on: torch.device,
) -> Row:
    """Time another way and ours in turn."""
    return Row(work, size, interleaved({way: slow, OURS: fast}, repeats, partial(seconds_on, on))[0])


def compared(name: str, images: int, epochs: int, repeats: int, device: torch.device) -> Iterator[Row]:
    """Compare training one model with the plain loop, and replicas with as many networks."""
    spec, recipe = SPECS[name], Recipe(epochs)
    data = random_data(spec, images)
    size = f"{epochs} epochs x {images} images"
    ours(spec, data, Recipe(1), [0], device)
    yield compare(
        *(f"train {name}", size, "plain"),
        partial(plain, spec, data, epochs, device),
        partial(ours, spec, data, recipe, [0], device),
        repeats,
        device,
    )
    yield compare(
        *(f"rsgd {name}, {REPLICAS} replicas", size, f"{REPLICAS} times SGD"),
        lambda: [ours(spec, data, recipe, [seed], device) for seed in range(REPLICAS)],
        partial(ours, spec, data, recipe, [0], device, RSGD(REPLICAS, gamma_init=0.01, replica_batch_size=BATCH)),
        repeats,
        device,
    )


def measure(name: str, options: argparse.Namespace, device: torch.device) -> Iterator[Row]:
    """Make every comparison for one model."""
    spec = SPECS[name]
    images = options.images if name != "vgg16" or device.type == "cuda" else max(256, options.images // 10)
    data, recipe = random_data(spec, images), Recipe(options.epochs)
    if options.one is not None:
        ours(spec, data, recipe, [options.one], device)
        return
    again = [sys.executable, "-m", "benchmarks.train", "--models", name, "--images", str(options.images)]
    again += ["--epochs", str(options.epochs), "--device", options.device, "--one"]
    yield from compared(name, images, options.epochs, options.repeats, device)
    longer = Recipe(5 * options.epochs)  # the basis is drawn once
    yield compare(
        *(f"train {name}, {SUBSPACE.dim} dimensions", f"{longer.epochs} epochs x {images} images", "whole space"),
        partial(ours, spec, data, longer, [0], device),
        partial(ours, spec, data, longer, [0], device, subspace=SUBSPACE),
        options.repeats,
        device,
    )
    if options.quick:
        return
    stack = partial(ours, spec, data, recipe, list(range(RUNS)), device)
    yield compare(
        *(f"train {name}, {RUNS} runs", f"{options.epochs} epochs x {images} images", f"{RUNS} processes"),
        lambda: [subprocess.run([*again, str(seed)], check=True) for seed in range(RUNS)],
        stack,
        max(1, options.repeats // 3),
        device,
    )
    yield compare(
        *(f"train {name}, one run", f"{options.epochs} epochs x {images} images", f"{RUNS} runs in a stack"),
        stack,
        partial(ours, spec, data, recipe, [0], device),
        max(1, options.repeats // 3),
        device,
    )


def rows(repeats: int) -> Iterator[Row]:
    """Compare every model with the plain loop, on few images."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Remark)
        for name, (images, epochs) in SIZES.items():
            yield from compared(name, images, epochs, repeats, torch.device("cpu"))


def main() -> None:
    """Measure every model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="mlp,lenet,vgg16")
    parser.add_argument("--images", type=int, default=6400)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--quick", action="store_true", help="leave out the comparisons of 8 runs")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)  # what each of the 8 processes does
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", Remark)
    for name in options.models.split(","):
        show(measure(name, options, torch.device(options.device)), as_json=False)


if __name__ == "__main__":
    main()
