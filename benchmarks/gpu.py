"""What a GPU takes for the measurements that many networks make: python benchmarks/gpu.py [--data-dir DIR].

Seconds by the clock until the device has done its work, data and networks in memory at the start, each once after a
warm-up on a part; against the loop that everybody writes (`load_state_dict`, a DataLoader of batches of 128) where one
is named. Images are MNIST's if a folder that holds it is named, else noise of their shape, as the time does not depend
on them. `--device cpu --small` tries the program itself.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

import landscape_cli as lib
from benchmarks.evaluate import plain
from landscape_cli.data.datasets import Split
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.geometry.linear import linear
from landscape_cli.measures.path_evaluator import PathEvaluator
from landscape_cli.models import create_model
from landscape_cli.network import ModelSpec
from landscape_cli.samplers import Recipe, train

GREY, COLOR = (1, 28, 28), (3, 32, 32)
SPECS = {
    "mlp": ModelSpec("mlp", {"hidden": [512, 512, 512]}, GREY, 10),
    "lenet": ModelSpec("lenet", {}, GREY, 10),
    "vgg16": ModelSpec("vgg16", {}, COLOR, 10),
    "binary": ModelSpec("binary-mlp", {"hidden": [501, 501]}, (784,), 10),
}
RUNS = 8


def noise(shape: tuple[int, ...], images: int) -> Split:
    source = torch.Generator().manual_seed(0)
    return Split(torch.randn(images, *shape, generator=source), torch.randint(10, (images,), generator=source))


def mnist(directory: str | None, images: int) -> Split:
    """Return both sets of MNIST, as many images as are wanted, or noise."""
    if directory is None:
        return noise(GREY, images)
    data = lib.load_data(lib.DataSpec("mnist", directory=directory), download=False)
    both = [
        torch.cat(each)[:images] for each in zip((data.train.x, data.train.y), (data.test.x, data.test.y), strict=True)
    ]
    return Split(both[0], both[1])


class Bench:
    """Rows of the table, printed as they come."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
        print(f"| {name}, torch {torch.__version__} | seconds | |\n|---|---|---|", flush=True)

    def timed(self, work: Callable[[], Any]) -> float:
        """Return the seconds until the device has done its work."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    def row(self, what: str, seconds: float, remark: str = "") -> None:
        """Print a row."""
        print(f"| {what} | {seconds:.2f} | {remark} |", flush=True)

    def networks(self, name: str, count: int) -> list[dict[str, Tensor]]:
        """Return new networks on the device."""
        states = [create_model(SPECS[name], seed=seed).state_dict() for seed in range(count)]
        return [{key: tensor.to(self.device) for key, tensor in state.items()} for state in states]

    def plane(self, data: Split, grid: int) -> None:
        """Time a plane, data being brought to the device too."""

        def measure(size: int) -> lib.PlaneResult:
            return lib.plane(model, *self.networks("lenet", 3), data, grid=size, device=self.device)

        model = create_model(SPECS["lenet"], seed=9)
        measure(2)
        seconds = self.timed(lambda: measure(grid))
        self.row(f"LeNet, plane {grid} × {grid}, {len(data.y):,} images", seconds)

    def path(self, name: str, data: Split, points: int, precision: str, *, against_plain: bool) -> None:
        """Time a path, data on the device before, and the plain loop if it is wanted."""
        model, (a, b) = create_model(SPECS[name], seed=9), self.networks(name, 2)
        paths = PathEvaluator(model, data, like=a, kind="linear", points=points, device=self.device)
        if precision != "float32":
            paths.evaluator = Evaluator(model, data, device=self.device, precision=precision)
        paths.evaluator.evaluate([a])
        seconds, remark = self.timed(lambda: paths.measure([a, b])), ""
        if against_plain:
            chain = [linear(a, b, k / (points - 1)) for k in range(points)]
            there = create_model(SPECS[name], seed=9).eval().to(self.device)
            slow = self.timed(lambda: plain_on(there, chain, data, self.device))
            remark = f"plain loop {slow:.2f}, {slow / seconds:.0f} times as long"
        changed = paths.evaluator.arithmetic.record().get("changed_decisions")
        if changed:
            remark = f"{changed['changed']:,} of {changed['compared']:,} decisions changed"
        self.row(f"{name}, path of {points}, {len(data.y):,} images, {precision}", seconds, remark)

    def runs(self, data: Split, epochs: int) -> None:
        """Time several runs in a stack, and one."""

        def learn(count: int) -> None:
            train(SPECS["lenet"], data, recipe=Recipe(epochs), seeds=list(range(count)), device=self.device)

        learn(1)
        one, many = self.timed(lambda: learn(1)), self.timed(lambda: learn(RUNS))
        self.row(
            f"LeNet, {epochs} epochs of {len(data.y):,} images, {RUNS} runs", many, f"one {one:.2f}: {many / one:.2f}"
        )

    def binary(self, images: int) -> None:
        """Time whole numbers and floats, and compare their logits with the CPU's."""
        data, networks = noise((784,), images), self.networks("binary", 4)
        model, seconds, found = create_model(SPECS["binary"], seed=9), [], []
        for integers in (True, False):
            evaluator = Evaluator(model, data, device=self.device, integers=integers)
            found.append([logits.cpu() for logits, _ in evaluator.logits(networks, "data")])
            seconds.append(self.timed(lambda: evaluator.evaluate(networks)))  # noqa: B023 - called at once
        on_cpu = [
            logits
            for logits, _ in Evaluator(model, data).logits(
                [{k: t.cpu() for k, t in n.items()} for n in networks], "data"
            )
        ]
        [whole, floats, cpu] = [torch.cat(each, 1) for each in (*found, on_cpu)]
        same = "the same bits" if torch.equal(whole, floats) and torch.equal(whole, cpu) else "OTHER BITS"
        self.row(
            f"binary MLP, 4 networks, {images:,} images, whole numbers", seconds[0], f"floats {seconds[1]:.2f}; {same}"
        )


def plain_on(model: torch.nn.Module, networks: list[dict[str, Tensor]], data: Split, device: torch.device) -> list[int]:
    """Do what most scripts do: a DataLoader, and each batch to the device."""

    class Moving(torch.nn.Module):
        def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
            return model.load_state_dict(*args, **kwargs)

        def forward(self, x: Tensor) -> Tensor:
            return model(x.to(device)).cpu()

    return plain(Moving(), networks, data)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--data-dir")
    parser.add_argument("--small", action="store_true", help="a thousandth of the work, to try the program")
    options = parser.parse_args()
    warnings.simplefilter("ignore", lib.Remark)
    warnings.simplefilter("ignore", lib.LandscapeWarning)
    if options.device == "cuda":
        torch.backends.cudnn.deterministic = True  # as the commands have it
    bench, few = Bench(torch.device(options.device)), options.small
    bench.plane(mnist(options.data_dir, 70 if few else 70_000), 3 if few else 25)
    for precision in ("float32", "tf32", "bf16"):
        bench.path("vgg16", noise(COLOR, 2 if few else 50_000), 3 if few else 21, precision, against_plain=False)
    for name in ("mlp", "lenet"):
        bench.path(name, noise(GREY, 100 if few else 10_000), 3 if few else 21, "float32", against_plain=True)
    bench.runs(noise(GREY, 256 if few else 12_800), 1 if few else 4)
    bench.binary(50 if few else 10_000)


if __name__ == "__main__":
    main()
