"""How often a planted permutation is found: python benchmarks/planted.py [--seeds 100].

A network with random parameters is permuted at random, once as it is and once with its units rescaled by log-normal
factors too (σ = 2). Counts how many are recovered: the first exactly, the second through `normalize` and then `align`,
with every label right. Beside them what else one might do: coordinate descent from the identity (Git Re-Basin's
algorithm 1), and matching the rescaled networks' weights as they are.

Binary networks are permuted and flipped: counted are those whose signs come back exactly, with outputs equal bit for
bit, in float32 and in float64.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli.alignment.activations import unit_correlations
from landscape_cli.alignment.align import match_networks
from landscape_cli.alignment.descent import Descent
from landscape_cli.alignment.labelling import AxisTable, UnitMatching
from landscape_cli.alignment.signs import signs_of_gains
from landscape_cli.alignment.similarity import Similarity
from landscape_cli.alignment.terms import Kind
from landscape_cli.models import create_model
from landscape_cli.network import ModelSpec
from landscape_cli.normalization.normalize import normalize_params
from landscape_cli.symmetry import (
    Symmetry,
    flip,
    permute,
    random_permutations,
    random_signs,
    rescale,
    trace_symmetry,
)

SIGMA = 2.0


class Residual(nn.Module):
    """Blocks that all write one stream; the shape of Git Re-Basin's issue 8."""

    def __init__(self, width: int, inner: int, blocks: int) -> None:
        super().__init__()
        self.embed = nn.Linear(10, width)
        self.up = nn.ModuleList(nn.Linear(width, inner) for _ in range(blocks))
        self.down = nn.ModuleList(nn.Linear(inner, width) for _ in range(blocks))
        self.out = nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs."""
        x = self.embed(x)
        for up, down in zip(self.up, self.down, strict=True):
            x = x + down(F.relu(up(x)))
        result: Tensor = self.out(x)
        return result


def registered(name: str, shape: tuple[int, ...]) -> Callable[[], nn.Module]:
    """Return a maker of a model of ours."""
    return lambda: create_model(ModelSpec(name, {}, shape, 10), seed=int(torch.randint(1 << 30, ())))


CASES: Mapping[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "residual, 2 blocks of 30/50": (lambda: Residual(30, 50, 2), (10,)),
    "residual, 6 blocks of 128/256": (lambda: Residual(128, 256, 6), (10,)),
    "lenet": (registered("lenet", (1, 28, 28)), (1, 28, 28)),
    "resnet20": (registered("resnet20", (3, 32, 32)), (3, 32, 32)),
}

BINARY: Mapping[str, ModelSpec] = {
    "committee, 9 of 401": ModelSpec("committee", {}, (401,), 1),
    "binary-mlp 784-501-501-10": ModelSpec("binary-mlp", {}, (1, 28, 28), 10),
    "binary-mlp 25-15-11-3": ModelSpec("binary-mlp", {"hidden": [15, 11]}, (25,), 3),
    "binary-mlp 30-14-10-3, even": ModelSpec("binary-mlp", {"hidden": [14, 10]}, (30,), 3),
    "binary-conv, 28x28": ModelSpec("binary-conv", {}, (1, 28, 28), 10),
    "binary-conv, 3x32x32": ModelSpec("binary-conv", {}, (3, 32, 32), 10),
}
PROBES = 50


def randomized(model: nn.Module, source: torch.Generator) -> dict[str, Tensor]:
    """Return a model's tensors as initialised, but all of batch-norm random."""
    result = model.state_dict()
    for name in [name.removesuffix("running_var") for name in result if name.endswith("running_var")]:
        for part in ("weight", "bias", "running_mean"):
            result[name + part] = result[name + part] + 0.3 * torch.randn(result[name + part].shape, generator=source)
        result[name + "running_var"] = 0.5 + 1.5 * torch.rand(result[name + "running_var"].shape, generator=source)
    return result


def right(planted: Mapping[str, Tensor], permutations: Mapping[str, Tensor]) -> float:
    """Return which share of all labels is right."""
    hits = [planted[name][permutations[name]] == torch.arange(len(permutations[name])) for name in planted]
    return float(torch.cat(hits).double().mean())


def from_identity(reference: dict[str, Tensor], params: dict[str, Tensor], symmetry: Symmetry) -> Mapping[str, Tensor]:
    """Return the labels that coordinate descent from the identity finds, by weights, in one random order."""
    where = AxisTable(symmetry)
    gains = signs_of_gains(reference, params, where)
    labelling = UnitMatching(where)
    names = [group.name for group in symmetry.permutations]

    def orders() -> list[str]:
        return [names[k] for k in torch.randperm(len(names))]

    Descent(Similarity(reference, params, where, gains, Kind.WEIGHT), labelling).sweep(iter(orders, None))
    return labelling.permutations


def one_seed(make: Callable[[], nn.Module], shape: tuple[int, ...], seed: int) -> tuple[Counter[str], float]:
    """Plant and recover once; return what was found, and the share of labels right by weights as they are."""
    torch.manual_seed(seed)
    source = torch.Generator().manual_seed(seed)
    model = make().eval().requires_grad_(False)
    symmetry = trace_symmetry(model, torch.zeros(2, *shape))
    params = randomized(model, source)
    labels = random_permutations(symmetry, generator=source)
    planted = permute(params, symmetry, labels)
    result: Counter[str] = Counter()
    for method in ("cosine", "weight"):
        alignment = match_networks(params, planted, symmetry, method=method)
        result[method] += all(torch.equal(alignment.params[key], params[key]) for key in params)
    result["from the identity"] += right(labels, from_identity(params, planted, symmetry)) == 1
    factors = {group.name: torch.exp(SIGMA * torch.randn(group.size, generator=source)) for group in symmetry.scales}
    rescaled = rescale(planted, symmetry, factors)
    original, moved = normalize_params(params, symmetry).params, normalize_params(rescaled, symmetry).params
    result["normalised"] += right(labels, match_networks(original, moved, symmetry).permutations) == 1
    return result, right(labels, from_identity(params, rescaled, symmetry))


def one_binary_seed(spec: ModelSpec, seed: int) -> Counter[str]:
    """Permute and flip a binary network in both types, and undo it by every method; return what was found."""
    result: Counter[str] = Counter()
    for dtype in (torch.float32, torch.float64):
        source = torch.Generator().manual_seed(seed)
        model = create_model(spec, seed=seed, dtype=dtype).eval().requires_grad_(False)
        symmetry = trace_symmetry(model, torch.zeros(2, *spec.input_shape, dtype=dtype))
        params = model.state_dict()
        planted = permute(params, symmetry, random_permutations(symmetry, generator=source))
        planted = flip(planted, symmetry, random_signs(symmetry, generator=source))
        x = torch.randn(PROBES, *spec.input_shape, generator=source).to(dtype)
        expected = torch.func.functional_call(model, params, (x,))
        for method in ("cosine", "weight", "activation"):
            correlations = unit_correlations(model, params, planted, symmetry, x) if method == "activation" else None
            aligned = match_networks(params, planted, symmetry, method=method, correlations=correlations).params
            outputs = [torch.func.functional_call(model, dict(network), (x,)) for network in (planted, aligned)]
            same = all(torch.equal(aligned[key] >= 0, params[key] >= 0) for key in params)
            result[method] += same and all(torch.equal(output, expected) for output in outputs)
    return result


def main() -> None:
    """Count every case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name, (make, shape) in CASES.items():
        total: Counter[str] = Counter()
        shares = []
        for seed in range(options.seeds):
            counts, share = one_seed(make, shape, seed)
            total.update(counts)
            shares.append(share)
        print(
            f"{name}: of {options.seeds} permutations found by cosine {total['cosine']}, by weight {total['weight']};"
            f" by descent from the identity {total['from the identity']}."
            f" Rescaled too (σ = {SIGMA:g}): normalised, then aligned {total['normalised']};"
            f" by descent on the weights as they are {100 * sum(shares) / len(shares):.0f} % of the labels",
            flush=True,
        )
    for name, spec in BINARY.items():
        counts = sum((one_binary_seed(spec, seed) for seed in range(options.seeds)), Counter[str]())
        counted = ", ".join(f"by {method} {counts[method]}" for method in ("cosine", "weight", "activation"))
        print(f"{name}: of {2 * options.seeds} permutations with flips undone bit for bit {counted}", flush=True)


if __name__ == "__main__":
    main()
