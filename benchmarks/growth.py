"""How time grows with networks, images, pairs, width and depth: python -m benchmarks growth.

Each row is one kind of work at several sizes, twice the one before; its exponent is the slope of the logarithms of
median seconds over those of sizes, by least squares: 1 where time is linear. Compare the largest sizes with each other
where it matters: what takes a constant time flattens the slope.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from statistics import linear_regression, median
from typing import Any

import torch
from torch import nn

from benchmarks.distance import all_pairs, some_networks
from benchmarks.table import OURS, Row, interleaved
from landscape_cli.alignment.align import match_networks
from landscape_cli.data.source import Split
from landscape_cli.measures.path import path
from landscape_cli.models import create_model
from landscape_cli.network import ModelSpec
from landscape_cli.symmetry import trace_symmetry

MLP = ModelSpec("mlp", {"hidden": [256, 256]}, (1, 28, 28), 10)


def growing(work: str, of: str, sizes: Sequence[int], make: Callable[[int], Callable[[], Any]], repeats: int) -> Row:
    """Time one kind of work at all sizes, in turn, after once at the least.

    Args:
        work: what is done.
        of: what the sizes are.
        sizes: from the least.
        make: what is to be done at a size.
        repeats: of all of it.
    """
    make(sizes[0])()
    ways = {str(size): make(size) for size in sizes}
    seconds, _ = interleaved(ways, repeats)
    medians = [median(seconds[str(size)]) for size in sizes]
    slope = linear_regression(*([torch.tensor(each).double().log().tolist() for each in (sizes, medians)])).slope
    facts = {"exponent": round(slope, 2), "each": " ".join(f"{each:.3g}" for each in medians)}
    return Row(f"{work}, {of}", " ".join(map(str, sizes)), {OURS: seconds[str(sizes[-1])]}, facts)


def images_of(count: int) -> Split:
    """Return noise with labels."""
    source = torch.Generator().manual_seed(0)
    x = torch.randn(count, *MLP.input_shape, generator=source)
    return Split(x, torch.randint(MLP.outputs, (count,), generator=source))


def evaluation(points: int, images: int) -> Callable[[], Any]:
    """Return a path between two networks."""
    model = create_model(MLP, seed=0).eval()
    ends = [create_model(MLP, seed=seed).state_dict() for seed in (1, 2)]
    return partial(path, model, *ends, images_of(images), points=points)


def alignment(layers: int, width: int) -> Callable[[], Any]:
    """Return tracing two MLPs and aligning them by the cosines of units."""
    networks = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        parts: list[nn.Module] = [nn.Linear(20, width)]
        for _ in range(layers - 1):
            parts += [nn.ReLU(), nn.Linear(width, width)]
        networks.append(nn.Sequential(*parts, nn.ReLU(), nn.Linear(width, 5)).eval())
    a, b = (network.state_dict() for network in networks)
    return lambda: match_networks(a, b, trace_symmetry(networks[0], torch.zeros(2, 20)))


def rows(repeats: int) -> Iterator[Row]:
    """Measure each kind of growth."""
    yield growing("path", "points", (20, 40, 80), lambda points: evaluation(points, 512), repeats)
    yield growing("path", "images", (1024, 2048, 4096), lambda images: evaluation(11, images), repeats)
    yield growing(
        "distance", "networks", (20, 40, 80), lambda count: partial(all_pairs, *some_networks(count)), repeats
    )
    yield growing("align", "width", (128, 256, 512), lambda width: alignment(3, width), repeats)
    yield growing("align", "depth", (100, 200, 400), lambda layers: alignment(layers, 32), repeats)
