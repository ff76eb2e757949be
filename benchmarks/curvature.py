"""Products with the Hessian against PyTorch's own: python benchmarks/curvature.py [MODEL …] [--images 512].

A product over all images by a loop over batches of 128 of `torch.autograd.functional.hvp`, and by landscape's
`Hessian`, in turn in one process on one thread. Prints the ratio of process CPU times (median and minimum over
repeats), and checks that both are the same vector. `--memory MODEL` measures its whole curvature, by default options,
and prints CPU time and the process's largest memory.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.functional import hvp
from torch.func import functional_call

from landscape_cli import curvature
from landscape_cli.choices import HessianMetric
from landscape_cli.data.source import Split
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.measures.hessian import Hessian
from landscape_cli.models import create_model
from landscape_cli.network import ModelSpec

SHAPES = {"mlp": (1, 28, 28), "lenet": (1, 28, 28), "vgg16": (3, 32, 32), "resnet20": (3, 32, 32)}


def plain(model: torch.nn.Module, names: list[str], vectors: list[Tensor], data: Split) -> Tensor:
    """Return the product by `hvp`, batch by batch."""
    params = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    total = [torch.zeros_like(vector) for vector in vectors]
    for x, y in zip(data.x.split(128), data.y.split(128), strict=True):

        def loss(*weights: Tensor) -> Tensor:
            network = params | dict(zip(names, weights, strict=True))
            return F.cross_entropy(functional_call(model, network, (x,)), y, reduction="sum")  # noqa: B023

        _, products = hvp(loss, tuple(params[name] for name in names), tuple(vectors))
        for part, product in zip(total, products, strict=True):
            part += product
    return torch.cat([part.flatten() for part in total]) / len(data.y)


def timed(work: Callable[[], Tensor]) -> tuple[float, Tensor]:
    """Return CPU seconds and the result."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def images(shape: tuple[int, ...], count: int) -> Split:
    """Return random images."""
    source = torch.Generator().manual_seed(0)
    return Split(torch.randn(count, *shape, generator=source), torch.randint(0, 10, (count,), generator=source))


def compare(name: str, count: int, repeats: int) -> None:
    """Print the ratio of one model."""
    spec, data = ModelSpec(name, {}, SHAPES[name], 10), images(SHAPES[name], count)
    model = create_model(spec, seed=0).eval()
    names = [key for key, parameter in model.named_parameters() if parameter.ndim > 1]
    evaluator = Evaluator(create_model(spec, seed=0), {"train": data})
    hessian = Hessian(evaluator, model.state_dict(), names, "train", metric=HessianMetric.EUCLIDEAN)
    vector = hessian.signs(torch.Generator().manual_seed(1))
    vectors = [tensor.clone() for tensor in hessian.tensors(vector).values()]
    seconds: dict[str, list[float]] = {"plain loop": [], "Hessian": []}
    for _ in range(repeats):
        slow, expected = timed(lambda: plain(model, names, vectors, data))
        fast, product = timed(lambda: torch.from_numpy(hessian.product(vector)))
        seconds["plain loop"].append(slow)
        seconds["Hessian"].append(fast)
    ratios = [slow / fast for slow, fast in zip(*seconds.values(), strict=True)]
    difference = float((expected - product).norm() / product.norm())
    print(
        f"{name}: {hessian.size} weights, {count} images: "
        + ", ".join(f"{key} {median(values):.2f} s (min {min(values):.2f})" for key, values in seconds.items())
        + f"; ratio {median(ratios):.2f} (min {min(ratios):.2f}); relative difference {difference:.1e}",
        flush=True,
    )


def measure_memory(name: str, count: int) -> None:
    """Print time and memory of a whole curvature."""
    spec, data = ModelSpec(name, {}, SHAPES[name], 10), images(SHAPES[name], count)
    model = create_model(spec, seed=0)
    start = time.process_time()
    result = curvature(model, model.state_dict(), data)
    seconds, peak = time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
    print(
        f"{name}: {result.dimension} weights, {count} images, {result.products} products in {seconds:.0f} s of CPU, "
        f"{peak:.2f} GiB; largest eigenvalue {result.eigenvalues[0]:.3g}, trace {result.trace:.3g}"
    )


def main() -> None:
    """Measure every model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=["mlp", "lenet", "resnet20"])
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory", metavar="MODEL")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.memory:
        measure_memory(options.memory, options.images)
        return
    for name in options.models:
        compare(name, options.images, options.repeats)


if __name__ == "__main__":
    main()
