"""Binary networks in whole numbers against floats: python benchmarks/binary.py [--points 21] [--images 10000].

All networks of a shortest path (signs flip from one network to another, in random order, as many a step) are evaluated
by a plain float32 loop, whose signs are `torch.where(x >= 0, 1.0, -1.0)`, and by the Evaluator, which chooses by a
trial; and by the Evaluator held to floats, and to whole numbers. In turn, in one process, on one thread. Prints ratios
of process CPU times (median and minimum over repeats), and checks that all count the same errors.

`--steps` measures instead what the first layer's sums of the MLP cost from one point to the next: by a product of whole
numbers, or by adding what the flipped signs change, which is sparse; and from how many points on the latter pays.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from functools import partial
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli.binary.layers import FixedPoint, Outputs, Sign, SignConv2d, SignLinear, Vote, binarize
from landscape_cli.data.datasets import Split
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.models import create_model
from landscape_cli.network import ModelSpec

MODELS = {
    "MLP 784-501-501-10": (ModelSpec("binary-mlp", {}, (1, 28, 28), 10), 1),
    "committee 401-9-1": (ModelSpec("committee", {}, (401,), 1), 1),
    "conv 28x28": (ModelSpec("binary-conv", {}, (1, 28, 28), 10), 10),
    "conv 3x32x32": (ModelSpec("binary-conv", {}, (3, 32, 32), 10), 10),
}
"""What to measure, and by what to divide the number of images."""
BATCH = 256  # of 128 to 2048, where the plain loop is fastest


def shortest_path(spec: ModelSpec, points: int) -> list[dict[str, Tensor]]:
    """Return networks from one of random signs to another, with equally many flips a step."""
    start, end = ({k: binarize(v) for k, v in create_model(spec, seed=s).state_dict().items()} for s in (1, 2))
    first, last = (torch.cat([tensor.flatten() for tensor in network.values()]) for network in (start, end))
    places = (first != last).nonzero()[:, 0]
    places = places[torch.randperm(len(places), generator=torch.Generator().manual_seed(0))]
    networks = []
    for k in range(points):
        flipped = places[: round(k / (points - 1) * len(places))]
        signs = first.index_copy(0, flipped, last[flipped])
        parts = signs.split([tensor.numel() for tensor in start.values()])
        networks.append({name: part.view_as(start[name]) for name, part in zip(start, parts, strict=True)})
    return networks


def plain(model: nn.Sequential, networks: list[dict[str, Tensor]], data: Split) -> list[int]:
    """Count errors one network at a time, as one would write it."""
    counts = []
    for params in networks:
        model.load_state_dict(params)
        wrong = 0
        with torch.no_grad():
            for x, y in zip(data.x.split(BATCH), data.y.split(BATCH), strict=True):
                logits = forward(model, x)
                classes = (logits[:, 0] >= 0).long() if logits.shape[1] == 1 else logits.argmax(1)
                wrong += int((classes != y).sum())
        counts.append(wrong)
    return counts


def forward(model: nn.Sequential, x: Tensor) -> Tensor:
    """Return logits."""
    for layer in model:
        if isinstance(layer, SignLinear):
            x = F.linear(x, torch.where(layer.weight >= 0, 1.0, -1.0))
        elif isinstance(layer, SignConv2d):
            x = F.conv2d(x, torch.where(layer.weight >= 0, 1.0, -1.0))
        elif isinstance(layer, Sign):
            x = torch.where(x >= 0, 1.0, -1.0)
        else:
            assert isinstance(layer, FixedPoint | Outputs | Vote | nn.Flatten | nn.MaxPool2d)
            x = layer(x)
    return x


def timed(work: Callable[[], list[int]]) -> tuple[float, list[int]]:
    """Return CPU seconds and the result."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def measure(name: str, points: int, images: int, repeats: int) -> None:
    """Print the ratios of one model."""
    spec, divisor = MODELS[name]
    count = max(2, images // divisor)
    source = torch.Generator().manual_seed(0)
    data = Split(
        torch.randn(count, *spec.input_shape, generator=source),
        torch.randint(0, max(2, spec.outputs), (count,), generator=source),
    )
    networks = shortest_path(spec, points)
    model = create_model(spec, seed=0).eval()
    assert isinstance(model, nn.Sequential)

    def evaluated(integers: bool | None) -> list[int]:
        evaluator = Evaluator(create_model(spec, seed=0), data, integers=integers)  # with its trial, if any
        return [int(wrong) for wrong in evaluator.evaluate(networks)["data"].wrong]

    ways: dict[str, Callable[[], list[int]]] = {
        "plain loop": lambda: plain(model, networks, data),
        "Evaluator": lambda: evaluated(None),
        "in floats": lambda: evaluated(False),
        "in whole numbers": lambda: evaluated(True),
    }
    for way in ways.values():
        way()
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    results: list[list[int]] = []
    for _ in range(repeats):
        for way, work in ways.items():
            spent, result = timed(work)
            seconds[way].append(spent)
            results.append(result)
    print(f"{name}: {points} networks, {count} images, other counts: {sum(r != results[0] for r in results)}")
    for way, values in seconds.items():
        ratios = [slow / fast for slow, fast in zip(seconds["plain loop"], values, strict=True)]
        print(
            f"  {way}: {median(values):.3f} s (min {min(values):.3f}); plain loop {median(ratios):.2f} times as long "
            f"(min {min(ratios):.2f})",
            flush=True,
        )


def measure_steps(images: int, repeats: int) -> None:
    """Print what the first layer's sums cost anew and from those of the point before."""
    spec, _ = MODELS["MLP 784-501-501-10"]
    source = torch.Generator().manual_seed(0)
    levels = torch.randint(-127, 128, (images, 784), generator=source)
    small, columns = levels.to(torch.int8), levels.float().t().contiguous()
    for points in (21, 101, 401, 1601):
        before, after = (network["fc1.weight"] for network in shortest_path(spec, points)[:2])
        change = after - before
        sparse = change.to_sparse_csr()
        units = change.abs().sum(1).nonzero()[:, 0]
        signs, start = after.to(torch.int8), (before @ columns)
        seconds: dict[str, list[float]] = {"product": [], "sparse": [], "rows": []}
        for _ in range(repeats):
            spent, products = timed_tensor(partial(by_products, small, signs))
            seconds["product"].append(spent)
            sums = start.clone()
            spent, added = timed_tensor(partial(sums.addmm_, sparse, columns))
            seconds["sparse"].append(spent)
            assert torch.equal(added.t(), products.float())
            sums = start.clone()
            spent, added = timed_tensor(partial(by_rows, sums, change, columns))
            seconds["rows"].append(spent)
            assert torch.equal(added.t(), products.float())
        print(
            f"{points} points, {int(change.count_nonzero())} flips a step in {len(units)} units: "
            + ", ".join(f"{way} {1e3 * median(values):.1f} ms" for way, values in seconds.items()),
            flush=True,
        )


def by_products(small: Tensor, signs: Tensor) -> Tensor:
    """Return the sums of each unit, int32, shape (images, units), batch by batch."""
    return torch.cat([torch._int_mm(batch, signs.t()) for batch in small.split(1024)])


def by_rows(sums: Tensor, change: Tensor, columns: Tensor) -> Tensor:
    """Add to the sums of each unit, (units, images), the inputs whose signs changed."""
    for unit, row in enumerate(change):
        places = row.nonzero()[:, 0]
        if len(places):
            sums[unit].addmv_(columns[places].t(), row[places])
    return sums


def timed_tensor(work: Callable[[], Tensor]) -> tuple[float, Tensor]:
    """Return CPU seconds and the result."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def main() -> None:
    """Measure every model, or what a step costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=21)
    parser.add_argument("--images", type=int, default=10000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--steps", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="Sparse CSR tensor support")
    if options.steps:
        measure_steps(options.images, options.repeats)
        return
    for name in MODELS:
        measure(name, options.points, options.images, options.repeats)


if __name__ == "__main__":
    main()
