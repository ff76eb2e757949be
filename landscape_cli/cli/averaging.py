"""The mean of aligned networks, which `align` writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from landscape_cli.choices import Statistics
from landscape_cli.cli.groups import Group
from landscape_cli.cli.merging import merged
from landscape_cli.cli.outputs import check_distinct, write_network
from landscape_cli.cli.parsing import given
from landscape_cli.errors import CheckpointError, GeometryError
from landscape_cli.io.atomic import check_output
from landscape_cli.io.regular import resolved

if TYPE_CHECKING:
    import torch
    from torch import nn

    from landscape_cli.data.datasets import DataSet
    from landscape_cli.errors import LandscapeError
    from landscape_cli.io.checkpoint import Checkpoint


@dataclass(frozen=True)
class AverageOptions(Group):
    """The mean of the reference and of all that is aligned to it."""

    panel = "Mean of all"

    average_out: Annotated[
        Path | None,
        typer.Option(
            "--average-out",
            help="Also, or only, write the mean of the reference and the aligned networks: .st or .safetensors; .pt, "
            ".pth or .bin: a plain state_dict.",
        ),
    ] = None
    bn: Annotated[
        Statistics,
        typer.Option(
            "--bn",
            help="Batch-norm statistics of the mean: keep the mean of the networks', or recompute them over the "
            "training set.",
        ),
    ] = Statistics.KEEP

    def check(
        self,
        context: typer.Context,
        networks: Sequence[Path],
        outputs: Sequence[Path | None],
        *,
        out_dir: Path | None,
        force: bool,
    ) -> None:
        """Check that the mean may be written.

        Args:
            context: of the command.
            networks: the files read.
            outputs: further outputs.
            out_dir: a folder that will be there, if it is not.
            force: whether an existing file may be replaced.

        Raises:
            BadParameter: if an option of it is given without it.
            CheckpointError: if a file stands in the way.
            ResultError: if it is another output.
        """
        from landscape_cli.io.checkpoint import check_checkpoint_name

        if self.average_out is None:
            if given(context, "bn"):
                raise typer.BadParameter("--bn is for the mean of the networks: name a file with --average-out")
            return
        check_checkpoint_name(self.average_out)
        if self.average_out.exists() or self.average_out.parent != out_dir:
            check_output(self.average_out, force=force, error=CheckpointError)
        check_distinct(self.average_out, *outputs)
        if resolved(self.average_out) in {resolved(network) for network in networks}:
            raise CheckpointError(f"{self.average_out} is one of the networks themselves: name their mean otherwise")


def check_has_mean(network: Checkpoint, model: nn.Module) -> None:
    """Check that networks of a model have a mean.

    Raises:
        GeometryError: if they are binary, naming one.
    """
    from landscape_cli.binary.layers import latent_names

    if latent_names(model):
        raise GeometryError(f"{network.path} is binary, and signs have no mean: leave out `average_out=`")


def average_of(
    networks: Sequence[Checkpoint],
    model: nn.Module,
    data: DataSet | None,
    bn: Statistics,
    *,
    step: Mapping[str, Any],
    device: torch.device,
) -> Checkpoint:
    """Return the mean of aligned networks as a checkpoint, measured if there are data.

    Args:
        networks: the reference first.
        model: of all of them.
        data: what to measure it on, and recompute its statistics over.
        bn: whether to do that.
        step: what this command was.
        device: where to compute.
    """
    from landscape_cli.evaluation.batch_norm import recompute_statistics
    from landscape_cli.evaluation.evaluator import Evaluator
    from landscape_cli.evaluation.scores import score_columns
    from landscape_cli.forward.parts import made_of_parts
    from landscape_cli.geometry.barycentre import average
    from landscape_cli.io.results import finite
    from landscape_cli.measures.effective import in_effect
    from landscape_cli.measures.missing import samples_recomputed
    from landscape_cli.models.effective import Form

    example = networks[0].model.example()
    plain, effective, _ = in_effect(model, [network.params for network in networks], None, example)
    params = average(effective)
    metrics: dict[str, Any] = {}
    if data is not None:
        evaluator = Evaluator(plain, data, device=device)
        if samples_recomputed(plain, params, data.train, bn):
            params = recompute_statistics(plain, params, evaluator.splits["train"].x)
        metrics = dict(finite(score_columns(evaluator.evaluate([params]), 0, loss=True)))
    form = Form(tuple(made_of_parts(model)), networks[0].params)
    network = form.stored({name: tensor.cpu() for name, tensor in params.items()})
    return merged(networks, network, data=data, step=step, metrics=metrics)


def write_average(
    path: Path, network: Checkpoint, *, force: bool, quiet: bool
) -> tuple[dict[str, Any], LandscapeError | None]:
    """Write the mean; return what the result says of it, and why it could not be written."""
    error = write_network(path, network, force=force, quiet=quiet)
    return {"path": None if error else str(path), **network.metrics}, error
