"""What `landscape align` does with one network: correlate it with the reference, match it, prove the match."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

from landscape_cli.cli.console import progress, say
from landscape_cli.cli.options import ALIGN_SAMPLES
from landscape_cli.cli.session import placed, say_precision

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from landscape_cli.alignment.activations import Correlations
    from landscape_cli.alignment.align import Alignment
    from landscape_cli.data.datasets import DataSet
    from landscape_cli.evaluation.equivalence import Difference
    from landscape_cli.io.checkpoint import Checkpoint
    from landscape_cli.symmetry import Symmetry


USED_BY = {"orders": "weight", "samples": "activation", "data": "activation", "data_dir": "activation"}


def check_used(context: typer.Context, method: str) -> None:
    """Refuse options of other methods: an option silently ignored misleads.

    Raises:
        BadParameter: naming it.
    """
    for name, used_by in USED_BY.items():
        given = getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
        if given and method != used_by:
            raise typer.BadParameter(f"--{name.replace('_', '-')} is for --method {used_by}: leave it out")


def sample_inputs(data: DataSet, samples: int, *, seed: int) -> Tensor:
    """Return that many random training inputs, or all if there are fewer."""
    import torch

    from landscape_cli.rng import generator

    return data.train.x[torch.randperm(len(data.train.x), generator=generator(seed))[:samples]]


def correlate(
    model: nn.Module,
    reference: Checkpoint,
    network: Checkpoint,
    symmetry: Symmetry,
    inputs: Tensor,
    *,
    device: torch.device,
    quiet: bool,
    bar: bool = True,
) -> Correlations:
    """Return the correlations of two networks' units on data; a remark names the groups that have none."""
    from landscape_cli.alignment.activations import unit_correlations

    with progress("activations", len(inputs), "samples", quiet=quiet or not bar) as advance:
        correlations = unit_correlations(
            model,
            placed(reference, device),
            placed(network, device),
            symmetry,
            inputs,
            device=device,
            advance=advance,
        )
    missing = [
        group.name for group in symmetry.permutations if group.name not in correlations.units and not group.inside
    ]
    if missing:
        say(f"matched by their weights, as no module puts them out: {', '.join(missing)}", quiet=quiet)
    return correlations


def relabel(
    model: nn.Module,
    reference: Checkpoint,
    network: Checkpoint,
    symmetry: Symmetry,
    *,
    method: str,
    orders: int | None = None,
    seed: int,
    inputs: Tensor | None,
    probe: Tensor,
    device: torch.device,
    quiet: bool,
    bar: bool = True,
) -> tuple[Alignment, Difference]:
    """Match a network to a reference, and prove on its outputs that it computes what it did.

    Args:
        model: the architecture.
        reference: the network whose labels stand.
        network: the one to relabel.
        symmetry: of both.
        method: "cosine", "weight" or "activation".
        orders: descents of "weight"; by default as many as `align` makes.
        seed: of their orders.
        inputs: what "activation" correlates units on; None for other methods.
        probe: inputs of the proof.
        device: where activations are computed.
        quiet: whether to leave out remarks.
        bar: whether to show progress.

    Raises:
        GeometryError: as `align` does.
        ProofError: naming the groups at fault.
    """
    from landscape_cli.alignment.align import ORDERS, align

    correlations = None
    if inputs is not None:
        correlations = correlate(model, reference, network, symmetry, inputs, device=device, quiet=quiet, bar=bar)
    found = align(
        reference.params,
        network.params,
        symmetry,
        method=method,
        orders=ORDERS if orders is None else orders,
        seed=seed,
        correlations=correlations,
    )
    return found, prove_alignment(model, network, found, symmetry, probe)


def differ_in_scale(one: Checkpoint, other: Checkpoint, symmetry: Symmetry) -> bool:
    """Tell whether one of two networks alone is normalised, in a way that matters: signs have no scale."""
    return (one.normalized is None) != (other.normalized is None) and not symmetry.is_binary


class Aligner:
    """Aligns many networks of one model, one pair at a time, with `landscape align`'s defaults."""

    def __init__(
        self,
        model: nn.Module,
        like: Checkpoint,
        symmetry: Symmetry,
        *,
        method: str,
        data: DataSet | None,
        seed: int,
        device: torch.device,
        quiet: bool,
    ) -> None:
        """Draw what is the same for every pair: the inputs of the proof, and those to correlate units on.

        Args:
            model: the architecture.
            like: one of the networks.
            symmetry: of all of them.
            method: "cosine", "weight" or "activation".
            data: what "activation" samples inputs from.
            seed: of all that is drawn.
            device: where outputs and activations are computed.
            quiet: whether to leave out remarks.
        """
        from landscape_cli.evaluation.equivalence import probe_batch

        self._model, self._symmetry, self._method = model, symmetry, method
        self._seed, self._device, self._quiet = seed, device, quiet
        self._inputs = None
        if method == "activation":
            assert data is not None
            self._inputs = sample_inputs(data, ALIGN_SAMPLES, seed=seed)
        self._probe = probe_batch(model, like.params, like.model.input_shape, seed=seed, device=device)
        self._warned = self._said = False

    def align(self, reference: Checkpoint, network: Checkpoint) -> Checkpoint:
        """Return the network with its units relabelled to match the reference's.

        Raises:
            GeometryError: as `align` does.
            ProofError: naming the groups at fault.
        """
        if not self._warned and differ_in_scale(reference, network, self._symmetry):
            self._warned = True
            which = f"{reference.path} and {network.path}"
            say(f"warning: only one of {which} is normalised: matches will be poor", quiet=self._quiet)
        found, difference = relabel(
            self._model,
            reference,
            network,
            self._symmetry,
            method=self._method,
            seed=self._seed,
            inputs=self._inputs,
            probe=self._probe,
            device=self._device,
            quiet=self._quiet or self._said,
            bar=False,  # there is one over all pairs
        )
        say_precision(network.path, difference, quiet=self._quiet or self._said)
        self._said = True
        return replace(network, params=found.params)


def prove_alignment(
    model: nn.Module, network: Checkpoint, found: Alignment, symmetry: Symmetry, probe: Tensor
) -> Difference:
    """Check that a relabelled network computes what it did.

    Raises:
        ProofError: naming the groups at fault.
    """
    from landscape_cli.alignment.align import one_at_a_time
    from landscape_cli.evaluation.equivalence import prove, to_double

    return prove(
        model,
        network.params,
        to_double(found.params, probe.device),
        found.params,
        probe,
        what=f"aligning {network.path}",
        exactly=symmetry.is_binary,
        suspects=one_at_a_time(network.params, symmetry, found.permutations, found.signs),
    )


def group_rows(network: Checkpoint, found: Alignment, symmetry: Symmetry) -> list[dict[str, Any]]:
    """Return a row for each group: how many units were relabelled and flipped, how alike they are before and after.

    Flips are of the sign group of the same name: the units' own.
    """
    return [
        {
            "network": network.path,
            "group": group.name,
            "units": group.units,
            "relabelled": sum(i != j for i, j in enumerate(found.permutations[group.name].tolist())),
            "flipped": int((found.signs[group.name] < 0).sum()) if group.name in found.signs else None,
            "similarity_before": found.similarity_before.get(group.name),
            "similarity": found.similarity.get(group.name),
        }
        for group in symmetry.permutations
    ]


def moves(network: Checkpoint, found: Alignment) -> dict[str, Any]:
    """Return the permutations and signs of a network, as `--permutations` saves them."""
    return {
        "network": network.path,
        "groups": {name: permutation.tolist() for name, permutation in found.permutations.items()},
        "signs": {name: sign.tolist() for name, sign in found.signs.items()},
    }
