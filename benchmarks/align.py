"""Aligning against the solver's own time and a table written by hand: python -m benchmarks.align [--repeats 3].

`python -m benchmarks align` compares tracing and aligning by weights with the same by a table written by hand, and by
the package rebasin if it is installed; and the whole command, its proof included, with `import torch`. Else: two
networks of a model with different seeds, all tensors random (so that nothing can be matched exactly), are traced
and aligned on one thread, in one process. Prints CPU seconds, and how much of them `linear_sum_assignment` takes, which
no method can do without; once for all groups, and once for those of at least 512 units, where only products and the
solver count. The alternative is Git Re-Basin's algorithm 1 (Ainsworth et al., 2022) as its ports run it: a table of
tensors and axes written for VGG16, coordinate descent from the identity in random orders until nothing changes, the
solver's costs as they come. Memory is that of a process of its own: the most that is resident while aligning, less
what was before the networks, in copies of the parameters; the two networks to align are two of them.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from benchmarks.table import OURS, Row, child, interleaved
from landscape_cli.alignment import assignment
from landscape_cli.alignment.align import match_networks
from landscape_cli.alignment.similarity import Similarity
from landscape_cli.io.checkpoint import Checkpoint, write_checkpoint
from landscape_cli.models import create_model
from landscape_cli.network import ModelSpec
from landscape_cli.symmetry import Symmetry, permute, trace_symmetry
from landscape_cli.torchvision_compat import import_torchvision

WIDE = 512
METHODS = ("cosine", "weight")
SPECS = {
    "mlp": ModelSpec("mlp", {"hidden": [512, 512, 512]}, (1, 28, 28), 10),
    "vgg16": ModelSpec("vgg16", {}, (3, 32, 32), 10),
    "resnet18": ModelSpec("torchvision:resnet18", {}, (3, 224, 224), 1000),
}
MODELS = {"resnet50": (3, 224, 224), "vgg16_bn": (3, 224, 224), "vgg16": (3, 32, 32)}
"""The first two are torchvision's; the last one is ours, for small images."""
BY_HAND = {"mlp": True, "vgg16": False}
"""Models aligned by a table, and whether also by rebasin, which takes a minute for VGG16."""
COMMANDS = ("vgg16", "resnet18")
CONVOLUTIONS = [f"{stage}_{k}" for stage, count in enumerate((2, 2, 3, 3, 3), start=1) for k in range(1, count + 1)]


def make(name: str, seed: int) -> nn.Module:
    """Return a model with all its tensors random."""
    torch.manual_seed(seed)
    if name in SPECS:
        model = create_model(SPECS[name], seed=seed).eval()
    else:
        model = import_torchvision("models").get_model(name, weights=None).eval()
    for key, tensor in model.state_dict().items():
        if key.endswith("running_var"):
            tensor.uniform_(0.5, 2)
        elif tensor.is_floating_point() and tensor.ndim == 1:
            tensor.add_(0.3 * torch.randn_like(tensor))
    return model.requires_grad_(False)


@contextmanager
def clocks() -> Iterator[Counter[str]]:
    """Count the CPU seconds of solver and products, in all and of wide groups."""
    seconds: Counter[str] = Counter()
    solve, score = assignment.linear_sum_assignment, Similarity.score

    def timed_solve(cost: Any, **options: Any) -> Any:
        start = time.process_time()
        result = solve(cost, **options)
        seconds["solver"] += time.process_time() - start
        seconds["solver, wide"] += (time.process_time() - start) * (len(cost) >= WIDE)
        return result

    def timed_score(*arguments: Any) -> Tensor:
        start = time.process_time()
        result = score(*arguments)
        seconds["products, wide"] += (time.process_time() - start) * (len(result) >= WIDE)
        return result

    # A method is replaced, which mypy does not like: only so are the parts timed within the whole.
    assignment.linear_sum_assignment, Similarity.score = timed_solve, timed_score  # type: ignore[method-assign]
    try:
        yield seconds
    finally:
        assignment.linear_sum_assignment, Similarity.score = solve, score  # type: ignore[method-assign]


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return CPU seconds and the result."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def table_of(name: str) -> dict[str, list[tuple[str, int]]]:
    """Return, by group, the tensors and axes that its units live on, written by hand."""
    if name == "mlp":
        return {f"fc{k}": [(f"fc{k}.weight", 0), (f"fc{k}.bias", 0), (f"fc{k + 1}.weight", 1)] for k in (1, 2, 3)}
    table = {}
    for k, convolution in enumerate(CONVOLUTIONS):
        norms = [f"features.norm{convolution}.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
        last = k + 1 == len(CONVOLUTIONS)
        reader = "classifier.fc1.weight" if last else f"features.conv{CONVOLUTIONS[k + 1]}.weight"
        writers = [f"features.conv{convolution}.weight", *norms]
        table[f"features.conv{convolution}"] = [*((writer, 0) for writer in writers), (reader, 1)]
    return table


def by_hand(
    a: dict[str, np.ndarray], b: dict[str, np.ndarray], table: dict[str, list[tuple[str, int]]], seed: int
) -> dict[str, np.ndarray]:
    """Return the permutations that Git Re-Basin's algorithm 1 finds, with a table written by hand."""
    axes_of: dict[str, list[tuple[str, int]]] = {}
    for name, places in table.items():
        for tensor, axis in places:
            axes_of.setdefault(tensor, []).append((name, axis))
    permutations = {name: np.arange(len(a[places[0][0]])) for name, places in table.items()}
    source, names, changed = np.random.default_rng(seed), list(table), True
    while changed:
        changed = False
        for k in source.permutation(len(names)):
            units = len(permutations[names[k]])
            total = np.zeros((units, units), dtype=np.float32)
            for tensor, axis in table[names[k]]:
                moved = b[tensor]
                for group, dim in axes_of[tensor]:
                    if dim != axis:
                        moved = np.take(moved, permutations[group], axis=dim)
                left, right = (np.moveaxis(each, axis, 0).reshape(units, -1) for each in (a[tensor], moved))
                total += left @ right.T
            rows, columns = linear_sum_assignment(total, maximize=True)
            if total[rows, columns].sum() > total[np.arange(units), permutations[names[k]]].sum() + 1e-12:
                permutations[names[k]], changed = columns, True
    return permutations


def product(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
    """Return the inner product of two networks' parameters; running statistics are none."""
    learned = (key for key in a if a[key].is_floating_point() and "running" not in key)
    return sum(float((a[key].double() * b[key].double()).sum()) for key in learned)


def one_run(name: str) -> Counter[str]:
    """Trace and align two networks once; return all times, by what was done."""
    result: Counter[str] = Counter()
    model = make(name, 1)
    a, b = model.state_dict(), make(name, 2).state_dict()
    result["trace"], symmetry = timed(lambda: trace_symmetry(model, torch.zeros(2, *MODELS[name])))
    for method in METHODS:
        with clocks() as seconds:
            taken, alignment = timed(lambda: match_networks(a, b, symmetry, method=method))  # noqa: B023 - called at once
        result[method] = taken
        result += Counter({f"{method}, {what}": value for what, value in seconds.items()})
        if name == "vgg16" and method == "weight":
            result["weight, product"] = product(a, dict(alignment.params))
    if name == "vgg16":
        arrays = [{key: tensor.numpy() for key, tensor in params.items()} for params in (a, b)]
        result["by hand"], permutations = timed(lambda: by_hand(*arrays, table_of(name), seed=0))
        result["by hand, product"] = product(a, moved_by_hand(b, symmetry, permutations))
    return result


def moved_by_hand(
    params: dict[str, Tensor], symmetry: Symmetry, permutations: dict[str, np.ndarray]
) -> dict[str, Tensor]:
    """Return the network permuted by the table's permutations, whose groups ours are."""
    names = {name: torch.from_numpy(permutation) for name, permutation in permutations.items()}
    assert set(names) == {group.name for group in symmetry.permutations}
    return permute(params, symmetry, names)


def matched(model: nn.Module, a: dict[str, Tensor], b: dict[str, Tensor], shape: tuple[int, ...]) -> dict[str, Tensor]:
    """Return a network traced and aligned by weights."""
    symmetry = trace_symmetry(model, torch.zeros(2, *shape))
    return dict(match_networks(a, b, symmetry, method="weight").params)


def rebasin(name: str) -> Callable[[], Any] | None:
    """Return the same by the package rebasin, which permutes a model in place; None if it is not there."""
    try:
        tool = importlib.import_module("rebasin")
    except ImportError:
        return None
    x = torch.zeros(2, *SPECS[name].input_shape)
    return lambda: tool.PermutationCoordinateDescent(make(name, 1), make(name, 2), x, logging_level="error").rebasin()


def rows(repeats: int) -> Iterator[Row]:
    """Measure aligning by weights, and the command."""
    for name, with_tool in BY_HAND.items():
        model, table = make(name, 1), table_of(name)
        a, b = model.state_dict(), make(name, 2).state_dict()
        arrays = [{key: tensor.numpy() for key, tensor in params.items()} for params in (a, b)]
        ways = {
            "by hand": partial(by_hand, *arrays, table, seed=0),
            OURS: partial(matched, model, a, b, SPECS[name].input_shape),
        }
        tool = rebasin(name) if with_tool else None
        if tool is not None:
            ways["rebasin"] = tool
        seconds, results = interleaved(ways, repeats)
        symmetry = trace_symmetry(model, torch.zeros(2, *SPECS[name].input_shape))
        theirs, ours = (product(a, each) for each in (moved_by_hand(b, symmetry, results["by hand"]), results[OURS]))
        size = f"{sum(tensor.numel() for tensor in a.values()):,} numbers"
        yield Row(f"match {name}, weight", size, seconds, {"product, ours / by hand": f"{ours / theirs:.4f}"})
    with tempfile.TemporaryDirectory() as folder:
        for name in COMMANDS:
            files = [str(Path(folder, f"{name}{seed}.st")) for seed in (1, 2)]
            for seed, path in enumerate(files):
                params = create_model(SPECS[name], seed=seed).state_dict()
                write_checkpoint(Path(path), Checkpoint(params, SPECS[name], {}))
            command = [
                sys.executable,
                "-m",
                "landscape_cli",
                "align",
                *files,
                "-o",
                str(Path(folder, "c.st")),
                "--force",
            ]
            torch_alone = partial(child, [sys.executable, "-c", "import torch"])
            seconds, _ = interleaved({"import torch": torch_alone, OURS: partial(child, command)}, repeats)
            yield Row(f"landscape align {name}", "a process", seconds)


def resident(field: str) -> int:
    """Return a number of bytes from the kernel's account of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def memory(name: str, method: str) -> float:
    """Return the most memory that aligning takes, both networks counted, in copies of the parameters."""
    model = make(name, 1)
    symmetry = trace_symmetry(model, torch.zeros(2, *MODELS[name]))
    tiny = nn.Sequential(nn.Linear(9, 600), nn.ReLU(), nn.Linear(600, 9))  # what loads but once
    match_networks(tiny.state_dict(), tiny.state_dict(), trace_symmetry(tiny, torch.zeros(2, 9)), method=method)
    a, b = model.state_dict(), make(name, 2).state_dict()
    size = sum(tensor.nbytes for tensor in a.values())
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts here
    before = resident("VmRSS")
    match_networks(a, b, symmetry, method=method)
    return 2 + (resident("VmHWM") - before) / size


def in_own_process(name: str, method: str) -> float:
    """Return `memory`, measured in a new process."""
    command = [sys.executable, "-m", "benchmarks.align", "--memory", name, method]
    return float(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def main() -> None:
    """Measure every model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(MODELS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory", nargs=2, metavar=("MODEL", "METHOD"), help="only measure memory, once")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.memory:
        print(json.dumps(memory(*options.memory)))
        return
    trace_symmetry(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval(), torch.zeros(2, 3, 8, 8))  # what loads but once
    for name in options.names:
        runs = [one_run(name) for _ in range(options.repeats)]

        def seconds(key: str) -> float:
            return median(run[key] for run in runs)  # noqa: B023 - called at once

        print(f"{name}: tracing {seconds('trace'):.2f} s")
        for method in METHODS:
            ours = median(run[method] - run[f"{method}, solver"] for run in runs)
            ratios = [run[f"{method}, products, wide"] / run[f"{method}, solver, wide"] for run in runs]
            print(
                f"  {method}: {seconds(method):.2f} s: solver {seconds(f'{method}, solver'):.2f}, ours {ours:.2f};"
                f" groups of {WIDE} units and more: products / solver {median(ratios):.2f} (max {max(ratios):.2f});"
                f" memory {in_own_process(name, method):.2f} copies of the parameters"
            )
        if runs[0]["by hand"]:
            ratios = [run["by hand"] / (run["trace"] + run["weight"]) for run in runs]
            print(
                f"  table written by hand: {seconds('by hand'):.2f} s, {median(ratios):.1f} times as long as tracing"
                f" and aligning by weights (min {min(ratios):.1f}); inner product reached: by hand"
                f" {seconds('by hand, product'):.6g}, ours {seconds('weight, product'):.6g}"
            )


if __name__ == "__main__":
    main()
