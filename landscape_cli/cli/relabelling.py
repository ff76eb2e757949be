"""What `landscape align` does with one network: correlate it with the reference, match it, prove the match."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from landscape_cli.cli.console import progress, say
from landscape_cli.cli.session import placed

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from landscape_cli.activations import Correlations
    from landscape_cli.align import Alignment
    from landscape_cli.checkpoint import Checkpoint
    from landscape_cli.data import DataSet
    from landscape_cli.proof import Difference
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

    from landscape_cli.seeds import generator

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
) -> Correlations:
    """Return the correlations of two networks' units on data; a remark names the groups that have none."""
    from landscape_cli.activations import unit_correlations

    with progress("activations", len(inputs), "samples", quiet=quiet) as advance:
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


def prove_alignment(
    model: nn.Module, network: Checkpoint, found: Alignment, symmetry: Symmetry, probe: Tensor
) -> Difference:
    """Check that a relabelled network computes what it did.

    Raises:
        ProofError: naming the groups at fault.
    """
    from landscape_cli.align import one_at_a_time
    from landscape_cli.proof import prove, to_double

    return prove(
        model,
        network.params,
        to_double(found.params, probe.device),
        found.params,
        probe,
        what=f"aligning {network.path}",
        suspects=one_at_a_time(network.params, symmetry, found.permutations, found.signs),
    )


def group_rows(network: Checkpoint, found: Alignment, symmetry: Symmetry) -> list[dict[str, Any]]:
    """Return a row for each group: how many units were relabelled, and how alike they are before and after."""
    return [
        {
            "network": network.path,
            "group": group.name,
            "units": group.units,
            "relabelled": sum(i != j for i, j in enumerate(found.permutations[group.name].tolist())),
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
