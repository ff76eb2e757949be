"""The training loop against the loop that everybody writes: python benchmarks/train.py [--models mlp,lenet,vgg16].

In one process on one thread, in turn: an epoch of SGD at batch 128 by a DataLoader over a TensorDataset, an
`nn.Module` and `optim.SGD`, and by ours; RSGD with 3 replicas against three times SGD; the whole space against a random
subspace of 256 dimensions (a ratio above 0.77 is within 1.3 times); and 8 runs in one stack against 8 processes one
after another. Prints ratios of CPU time (median and minimum over repeats); with --device cuda of wall
time, the device's work included.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from statistics import median

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

from landscape_cli.data.datasets import Split
from landscape_cli.errors import Remark
from landscape_cli.models import create_model
from landscape_cli.network import ModelSpec
from landscape_cli.samplers import RSGD, Recipe, Sampler, Subspace, train

SPECS = {
    "mlp": ModelSpec("mlp", {"hidden": [512, 512, 512]}, (1, 28, 28), 10),
    "lenet": ModelSpec("lenet", {}, (1, 28, 28), 10),
    "vgg16": ModelSpec("vgg16", {"hidden": []}, (3, 32, 32), 10),
}
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
    loader = DataLoader(TensorDataset(*data), batch_size=128, shuffle=True)
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


def timed(work: Callable[[], None], device: torch.device) -> float:
    """Return CPU seconds of this process and its children; on a GPU, seconds until it has done its work."""
    clock = time.perf_counter if device.type == "cuda" else lambda: sum(os.times()[:4])
    start = clock()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return clock() - start


def compare(what: str, slow: Callable[[], None], fast: Callable[[], None], repeats: int, device: torch.device) -> None:
    """Time two ways in turn, and print how many times faster the second is."""
    pairs = [(timed(slow, device), timed(fast, device)) for _ in range(repeats)]
    ratios = [a / b for a, b in pairs]
    print(
        f"{what}: {median(a for a, _ in pairs):.2f} s against {median(b for _, b in pairs):.2f} s, "
        f"ratio {median(ratios):.2f} (min {min(ratios):.2f})",
        flush=True,
    )


def measure(name: str, options: argparse.Namespace, device: torch.device) -> None:
    """Make every comparison for one model."""
    recipe = Recipe(options.epochs)
    spec = SPECS[name]
    images = options.images if name != "vgg16" or device.type == "cuda" else max(256, options.images // 10)
    data = random_data(spec, images)
    if options.one is not None:
        ours(spec, data, recipe, [options.one], device)
        return
    again = [sys.executable, __file__, "--models", name, "--images", str(options.images)]
    again += ["--epochs", str(options.epochs), "--device", options.device, "--one"]
    timed(lambda: ours(spec, data, Recipe(1), [0], device), device)
    compare(
        f"{name}, {options.epochs} epochs of {images} images, the plain loop against ours",
        lambda: plain(spec, data, options.epochs, device),
        lambda: ours(spec, data, recipe, [0], device),
        options.repeats,
        device,
    )
    compare(
        f"{name}, 3 trainings by SGD against RSGD with 3 replicas",
        lambda: [ours(spec, data, recipe, [seed], device) for seed in range(3)] and None,
        lambda: ours(spec, data, recipe, [0], device, RSGD(3, gamma_init=0.01)),
        options.repeats,
        device,
    )
    longer = Recipe(5 * options.epochs)  # the basis is drawn once
    compare(
        f"{name}, {longer.epochs} epochs in the whole space against a subspace of {SUBSPACE.dim} dimensions",
        lambda: ours(spec, data, longer, [0], device),
        lambda: ours(spec, data, longer, [0], device, subspace=SUBSPACE),
        options.repeats,
        device,
    )
    if options.quick:
        return
    compare(
        f"{name}, {RUNS} processes one after another against --runs {RUNS}",
        lambda: [subprocess.run([*again, str(seed)], check=True) for seed in range(RUNS)] and None,
        lambda: ours(spec, data, recipe, list(range(RUNS)), device),
        max(1, options.repeats // 3),
        device,
    )
    compare(
        f"{name}, {RUNS} runs in a stack against one run",
        lambda: ours(spec, data, recipe, list(range(RUNS)), device),
        lambda: ours(spec, data, recipe, [0], device),
        max(1, options.repeats // 3),
        device,
    )


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
        measure(name, options, torch.device(options.device))


if __name__ == "__main__":
    main()
