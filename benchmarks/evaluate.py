"""The evaluator against the loop that everybody writes: python benchmarks/evaluate.py [--points 21] [--images 10000].

Each network of a path is evaluated by `load_state_dict` and a DataLoader (batch 128), and by the Evaluator, in turn in
one process on one thread. Prints the ratio of process CPU times (median and minimum over repeats), and checks that
both count the same errors.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch
from torch.utils.data import DataLoader, TensorDataset

from landscape_cli.data.datasets import Split
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.geometry.linear import linear
from landscape_cli.models import create_model
from landscape_cli.network import ModelSpec

MODELS = {name: ModelSpec(name, {}, (1, 28, 28), 10) for name in ("mlp", "lenet")}


def plain(model: torch.nn.Module, networks: list[dict[str, torch.Tensor]], data: Split) -> list[int]:
    """Count errors one network at a time."""
    counts = []
    for params in networks:
        model.load_state_dict(params)
        wrong = 0
        with torch.no_grad():
            for x, y in DataLoader(TensorDataset(*data), batch_size=128):
                wrong += int((model(x).argmax(1) != y).sum())
        counts.append(wrong)
    return counts


def timed(work: Callable[[], list[int]]) -> tuple[float, list[int]]:
    """Return CPU seconds and the result."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def main() -> None:
    """Measure every model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=21)
    parser.add_argument("--images", type=int, default=10000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    source = torch.Generator().manual_seed(0)
    data = Split(
        torch.randn(options.images, 1, 28, 28, generator=source),
        torch.randint(0, 10, (options.images,), generator=source),
    )
    for name, spec in MODELS.items():
        a, b = (create_model(spec, seed=seed).state_dict() for seed in (1, 2))
        networks = [linear(a, b, k / (options.points - 1)) for k in range(options.points)]
        model = create_model(spec, seed=0).eval()
        evaluator = Evaluator(create_model(spec, seed=0), data)
        seconds: dict[str, list[float]] = {"plain loop": [], "Evaluator": []}
        for _ in range(options.repeats):
            slow, expected = timed(lambda: plain(model, networks, data))  # noqa: B023 - called at once
            fast, wrong = timed(lambda: evaluator.evaluate(networks)["data"].wrong.tolist())  # noqa: B023
            seconds["plain loop"].append(slow)
            seconds["Evaluator"].append(fast)
            differing = sum(x != y for x, y in zip(expected, wrong, strict=True))
        ratios = [slow / fast for slow, fast in zip(*seconds.values(), strict=True)]
        print(
            f"{name}: {options.points} networks, {options.images} images: "
            + ", ".join(f"{key} {median(values):.2f} s (min {min(values):.2f})" for key, values in seconds.items())
            + f"; ratio {median(ratios):.2f} (min {min(ratios):.2f}); networks with other counts: {differing}"
        )


if __name__ == "__main__":
    main()
