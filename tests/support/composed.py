"""Networks composed of blocks at random, put to every check: python -m tests.support.composed [--count N].

Three to six blocks (tests/support/composed_blocks.py) on one stream, between an input layer and a head of random
kinds. Each is traced, moved by random elements of what was found, held against what its outputs alone say
(`check_completeness`), and three planted elements are undone: permutations, signs and scales with σ = 2, by
`normalize` and `align`. `--each` puts every block alone between two layers instead. Prints what disagrees.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Iterator
from random import Random
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli.alignment.align import match_networks
from landscape_cli.errors import LandscapeError
from landscape_cli.normalization.normalize import normalize_params
from landscape_cli.symmetry import flip, permute, random_permutations, random_signs, rescale
from landscape_cli.symmetry.checking.completeness import check_completeness
from landscape_cli.symmetry.checking.words import completeness_lines
from tests.support.composed_blocks import ANY, IMAGES, PLACES, SIZE, TOKENS, VECTORS, weights
from tests.support.layers import Net
from tests.support.symmetry_checks import Net as Checked
from tests.support.symmetry_checks import check_true, make_net

BLOCKS = {"vectors": ANY | VECTORS, "tokens": ANY | TOKENS, "images": IMAGES, "words": ANY | TOKENS}
SHAPES: dict[str, tuple[int, ...]] = {
    "vectors": (3,),
    "tokens": (PLACES, 3),
    "images": (2, SIZE, SIZE),
    "words": (PLACES,),
}
WORDS, TOLERANCE, SIGMA = 5, 1e-6, 2.0


class Composed(nn.Module):
    """Blocks one after the other, between an input layer and a head."""

    def __init__(self, stream: str, names: list[str], seed: int, head: str | None = None) -> None:
        super().__init__()
        random = Random(seed)
        d = random.choice([4, 6])
        self.stream = stream
        self.first: nn.Module = (
            nn.Embedding(WORDS, d)
            if stream == "words"
            else nn.Conv2d(2, d, 1)
            if stream == "images"
            else nn.Linear(3, d)
        )
        blocks = []
        for name in names:
            block, d = BLOCKS[stream][name](random, d)
            blocks.append(block)
        self.blocks = nn.ModuleList(blocks)
        self.head_name = head or random.choice(list(HEADS))
        self.head = HEADS[self.head_name](d)

    def forward(self, x: Tensor) -> Any:
        h = self.first(x)
        for block in self.blocks:
            h = block(h)
        if self.stream == "images":
            h = F.leaky_relu(h, 0.3).mean((2, 3))
        elif self.stream != "vectors":
            h = F.leaky_relu(h, 0.3).mean(1)
        return self.head(h)


HEADS = {
    "linear": lambda d: nn.Linear(d, 2),
    "two": lambda d: Net(lambda m, h: (m.a(h), m.b(h)), a=nn.Linear(d, 2), b=nn.Linear(d, 2)),
    "cosine": lambda d: Net(
        lambda m, h: 3 * F.linear(F.normalize(h, dim=-1), F.normalize(m.w, dim=-1)), w=weights(2, d)
    ),
    "einsum": lambda d: Net(lambda m, h: torch.einsum("bd,kdo->bo", h, m.w), w=weights(3, d, 2)),
    "mlp": lambda d: nn.Sequential(nn.Linear(d, 4), nn.ReLU(), nn.Linear(4, 2)),
}


def composed(seed: int) -> tuple[str, list[str]]:
    """Return a stream, and names of blocks on it."""
    random = Random(seed)
    stream = random.choice(list(BLOCKS))
    return stream, [random.choice(list(BLOCKS[stream])) for _ in range(random.randint(3, 6))]


def make_composed(stream: str, names: list[str], seed: int, head: str | None = None) -> Checked:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make_net(
            Composed(stream, names, seed, head), SHAPES[stream], seed=seed, words=WORDS if stream == "words" else None
        )


def undone(net: Checked, seed: int) -> str:
    """Plant an element of all symmetries, undo it, and say what was not; nothing if all was."""
    source = torch.Generator().manual_seed(seed)
    labels = random_permutations(net.symmetry, generator=source)
    moved = flip(permute(net.params, net.symmetry, labels), net.symmetry, random_signs(net.symmetry, generator=source))
    factors = {
        group.name: torch.exp(SIGMA * torch.randn(group.size, generator=source, dtype=torch.float64))
        for group in net.symmetry.scales
    }
    moved = normalize_params(rescale(moved, net.symmetry, factors), net.symmetry).params
    reference = normalize_params(net.params, net.symmetry).params
    alignment = match_networks(reference, moved, net.symmetry)
    gaps = {
        name: float((alignment.params[name] - tensor).abs().max() / tensor.abs().max().clamp(min=1e-300))
        for name, tensor in reference.items()
        if tensor.is_floating_point() and tensor.numel()
    }
    wrong = [name for name, gap in gaps.items() if not gap <= TOLERANCE]
    return ", ".join(wrong[:6]) + (f" and {len(wrong) - 6} more" if len(wrong) > 6 else "")


def disagreements(net: Checked, seed: int, plants: int = 3) -> Iterator[str]:
    """Say what is not so of what was found of a network."""
    try:
        check_true(net)
    except AssertionError as gap:
        yield f"WRONG {gap}"
    for note in net.symmetry.notes:
        yield f"note: {note}"
    try:
        checked = check_completeness(net.model, net.params, net.symmetry, generator=torch.Generator().manual_seed(seed))
        if not checked.is_complete:
            yield "; ".join(completeness_lines(checked))
    except LandscapeError as refusal:
        yield f"not checked: {refusal}"
    for k in range(plants):
        if left := undone(net, 100 * seed + k):
            yield f"planted {k}: {left}"


def examined(stream: str, names: list[str], seed: int, head: str | None, plants: int = 3) -> bool:
    """Print what disagrees of one network, and tell whether nothing did."""
    start = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            problems = list(disagreements(make_composed(stream, names, seed, head), seed, plants))
    except LandscapeError as refusal:
        problems = [f"refused: {refusal}"]
    except Exception as fault:  # a fault of ours, or of the block: to be seen
        problems = [f"FAULT {type(fault).__name__}: {fault}"]
    if problems:
        print(
            f"{stream} {seed}: {', '.join(names)} ({time.process_time() - start:.1f} s)",
            *problems,
            sep="\n    ",
            flush=True,
        )
    return not problems


def main() -> None:
    """Examine networks of consecutive seeds, or of each block."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="with --each: words in names of blocks [all]")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--plants", type=int, default=3)
    parser.add_argument("--each", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.each:
        tables = {"vectors": ANY | VECTORS, "tokens": TOKENS, "images": IMAGES}
        todo = [
            (stream, [name], options.first, "mlp")
            for stream, table in tables.items()
            for name in table
            if not options.names or any(word in name for word in options.names)
        ]
    else:
        todo = [(*composed(seed), seed, None) for seed in range(options.first, options.first + options.count)]
    good = sum(examined(stream, names, seed, head, options.plants) for stream, names, seed, head in todo)
    print(f"{good} of {len(todo)} without disagreement")


if __name__ == "__main__":
    main()
