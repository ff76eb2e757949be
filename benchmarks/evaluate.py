"""The evaluator against the loops that everybody writes: python -m benchmarks.evaluate [WORK …] [--repeats 3] [--json].

A path, a plane and flatness, from networks to errors, in turn in one process on one thread: ours; the plain loop
(`load_state_dict`, a DataLoader of batches of 128); a loop over batches of 1000 in memory; and, where it does the work
and is installed, the package loss-landscapes. Says which part of the speed of one large product of matrices ours has
("floor", above 100 % where work is shared), and how many errors of all networks differ from the plain loop's.
"""

from __future__ import annotations

import argparse
import importlib
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import chain

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.table import OURS, Row, interleaved, show
from landscape_cli.data.source import Split
from landscape_cli.evaluation.evaluator import Evaluator
from landscape_cli.forward.combination import alone
from landscape_cli.forward.work import count_work
from landscape_cli.geometry.linear import LinearPath
from landscape_cli.geometry.plane import span_plane
from landscape_cli.measures.flatness import perturbed_energy
from landscape_cli.measures.noise import MultiplicativeNoise
from landscape_cli.models import create_model
from landscape_cli.network import ModelSpec, Params
from landscape_cli.rng import generator

SIGMAS = (0.1, 0.2, 0.3, 0.4, 0.5)
FLOOR = 2048
"""Rows and columns of the product whose speed is the floor."""
MARGIN = 0.2

WORKS: dict[str, tuple[str, str, int, int]] = {
    "mlp-path": ("mlp", "path", 21, 4096),
    "mlp-plane": ("mlp", "plane", 11, 1024),
    "mlp-flatness": ("mlp", "flatness", 10, 2048),
    "lenet-path": ("lenet", "path", 21, 512),
    "lenet-plane": ("lenet", "plane", 11, 128),
    "lenet-flatness": ("lenet", "flatness", 10, 256),
    "vgg16-path": ("vgg16", "path", 3, 64),
    "vgg16-evaluation": ("vgg16", "path", 2, 192),
    "resnet18-path": ("torchvision:resnet18", "path", 3, 128),
    "resnet20-path": ("resnet20", "path", 5, 256),
    "vit-evaluation": ("torchvision:vit_b_16", "path", 2, 8),
}
"""By name: the model, what is measured, how many points (a side, or draws), how many images."""
SHAPES = {"mlp": (1, 28, 28), "lenet": (1, 28, 28), "torchvision:vit_b_16": (3, 224, 224)}


class Networks:
    """What the ways share: a model, three networks of it, and images."""

    def __init__(self, name: str, images: int) -> None:
        shape = SHAPES.get(name, (3, 32, 32))
        self.spec = ModelSpec(name, {}, shape, 1000 if ":" in name else 10)
        self.model = create_model(self.spec, seed=0).eval().requires_grad_(False)
        self.ends = [create_model(self.spec, seed=seed).state_dict() for seed in (1, 2, 3)]
        source = torch.Generator().manual_seed(0)
        y = torch.randint(0, 10, (images,), generator=source)
        self.data = Split(torch.randn(images, *shape, generator=source), y)
        self.weights = [name for name, tensor in self.ends[0].items() if tensor.ndim > 1]

    def by_hand(self, what: str, points: int) -> Iterator[Params]:
        """Yield the networks as a script makes them: by sums in float32."""
        a, b, c = self.ends
        floats = [name for name, tensor in a.items() if tensor.is_floating_point()]
        if what == "path":
            for k in range(points):
                tau = k / (points - 1)
                yield a | {name: (1 - tau) * a[name] + tau * b[name] for name in floats}
        elif what == "plane":
            spanned = span_plane(a, b, c)
            u, v = ({name: axis[name].float() for name in floats} for axis in (spanned.u, spanned.v))
            xs, ys = spanned.grid(points, MARGIN)
            for y in ys:
                for x in xs:
                    yield a | {name: a[name] + x * u[name] + y * v[name] for name in floats}
        else:
            yield a
            for draw in range(points):
                source = generator(0, draw)  # ours, so that errors can be compared
                noise = {name: torch.randn(a[name].shape, generator=source) for name in self.weights}
                for sigma in SIGMAS:
                    yield a | {name: a[name] + sigma * z * a[name] for name, z in noise.items()}


def plain(networks: Networks, what: str, points: int) -> list[int]:
    """Count errors as most scripts do."""
    counts = []
    for params in networks.by_hand(what, points):
        networks.model.load_state_dict(params)
        wrong = 0
        with torch.no_grad():
            for x, y in DataLoader(TensorDataset(networks.data.x, networks.data.y), batch_size=128):
                wrong += int((networks.model(x).argmax(1) != y).sum())
        counts.append(wrong)
    return counts


def in_memory(networks: Networks, what: str, points: int) -> list[int]:
    """Count errors over large batches that are slices of a tensor."""
    counts = []
    x, y = networks.data.x, networks.data.y
    for params in networks.by_hand(what, points):
        networks.model.load_state_dict(params)
        with torch.inference_mode():
            parts = zip(x.split(1000), y.split(1000), strict=True)
            counts.append(sum(int((networks.model(inputs).argmax(1) != of).sum()) for inputs, of in parts))
    return counts


def ours(networks: Networks, evaluator: Evaluator, what: str, points: int) -> list[int]:
    """Count errors with the evaluator, the networks made as the commands make them."""
    a, b, c = networks.ends
    if what == "flatness":
        noise = MultiplicativeNoise("sigma")
        energy = perturbed_energy(a, evaluator, noise, SIGMAS, names=networks.weights, samples=points)
        errors = torch.cat([torch.zeros(1), energy.draws["data"].T.flatten()]) + energy.error["data"]
        return [round(float(error) * len(networks.data.y)) for error in errors]
    members: Iterator[Params]
    if what == "path":
        members = chain([alone(a), alone(b)], LinearPath(networks.model).inner(a, b, points))
        first, last, *inner = evaluator.evaluate(members)["data"].wrong.tolist()
        return [first, *inner, last]
    spanned = span_plane(a, b, c)
    xs, ys = spanned.grid(points, MARGIN)
    return list(evaluator.evaluate(spanned.network(x, y) for y in ys for x in xs)["data"].wrong.tolist())


def public_tool(networks: Networks, what: str, points: int) -> Callable[[], object] | None:
    """Return the same by the package loss-landscapes, whose metric sees all images at once; None if it is not there."""
    try:
        tool = importlib.import_module("loss_landscapes")
    except ImportError:
        return None
    x, y = networks.data.x, networks.data.y

    def wrong(wrapper: Callable[[Tensor], Tensor]) -> int:
        with torch.inference_mode():
            return int((wrapper.forward(x).argmax(1) != y).sum())  # type: ignore[attr-defined]

    def make(k: int) -> nn.Module:
        model = create_model(networks.spec, seed=0).eval().requires_grad_(False)
        model.load_state_dict(networks.ends[k])
        return model

    if what == "path":
        return lambda: tool.linear_interpolation(make(0), make(1), wrong, steps=points)
    if what == "plane":
        return lambda: tool.planar_interpolation(make(0), make(1), make(2), wrong, steps=points)
    return None


@cache
def floor() -> float:
    """Return how many numbers a second one large product of matrices multiplies."""
    a = torch.randn(FLOOR, FLOOR)
    found = []
    for _ in range(5):
        start = time.process_time()
        torch.mm(a, a)
        found.append(time.process_time() - start)
    return FLOOR**3 / min(found)


def rows(repeats: int, names: tuple[str, ...] = ()) -> Iterator[Row]:
    """Measure some of the works, by default all."""
    for name in names or WORKS:
        model, what, points, images = WORKS[name]
        networks = Networks(model, images)
        evaluator = Evaluator(create_model(networks.spec, seed=0), networks.data)
        ways: dict[str, Callable[[], object]] = {
            "plain": partial(plain, networks, what, points),
            "in memory": partial(in_memory, networks, what, points),
            OURS: partial(ours, networks, evaluator, what, points),
        }
        tool = public_tool(networks, what, points)
        if tool is not None:
            ways["loss-landscapes"] = tool
        seconds, results = interleaved(ways, repeats)
        expected, counts = results["plain"], results[OURS]
        products = count_work(networks.model, networks.data.x[:2]).products * images * len(counts)
        yield Row(
            name,
            f"{len(counts)} networks x {images} images",
            seconds,
            {
                "floor": f"{products / floor() / min(seconds[OURS]):.0%}",
                "errors that differ": sum(abs(a - b) for a, b in zip(expected, counts, strict=True)),
            },
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="WORK", help=f"by default all of {', '.join(WORKS)}")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    unknown = set(options.names) - set(WORKS)
    if unknown:
        parser.error(f"no work {', '.join(sorted(unknown))}: choose {', '.join(WORKS)}")
    torch.set_num_threads(1)
    show(rows(options.repeats, tuple(options.names)), as_json=options.json)


if __name__ == "__main__":
    main()
