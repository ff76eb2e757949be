"""How `landscape train` measures a network and describes it in its checkpoint; what is said of it in the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from landscape_cli.cli.console import say
from landscape_cli.cli.provenance import make_provenance
from landscape_cli.cli.training.names import CheckpointFile
from landscape_cli.errors import CheckpointError
from landscape_cli.io.checkpoint import Checkpoint, read_checkpoint, write_checkpoint

if TYPE_CHECKING:
    import torch

    from landscape_cli.data.datasets import DataSet
    from landscape_cli.evaluation.evaluator import Evaluator
    from landscape_cli.network import ModelSpec, Params
    from landscape_cli.samplers.subspace import Displacement

OF_RESULT = ("keep_epochs", "keep_snapshots")
"""Options that the result records: networks are byte for byte what they are without."""
SUBSPACE = "subspace"
"""What a checkpoint says of its training beside how that was started: how far it came in a subspace."""


class CheckpointWriter:
    """Measures the networks of one training, and writes them.

    Attributes:
        provenance: how the networks were made.
        of_result: the same for the result, with what was kept on the way.
    """

    def __init__(
        self,
        context: typer.Context,
        spec: ModelSpec,
        data: DataSet,
        starts: Sequence[Checkpoint],
        *,
        seed: int,
        device: torch.device,
        force: bool,
        resume: bool,
        quiet: bool,
        chosen: Mapping[str, Any],
    ) -> None:
        """Take note of what checkpoints say of themselves; `chosen` are options that were left to the command."""
        self.spec, self.data, self.device, self.quiet = spec, data, device, quiet
        self._force, self._resume = force, resume
        self.provenance = make_provenance(context, device=device, seed=seed, networks=starts, data=data, **chosen)
        kept = {name: context.params[name] for name in OF_RESULT if context.params.get(name)}
        self.of_result = self.provenance | {"arguments": self.provenance["arguments"] | kept}
        self._earlier = tuple(step for start in starts for step in start.history)
        self._evaluator: Evaluator | None = None

    def measure(self, file: CheckpointFile, params: Params, subspace: Displacement | None = None) -> Checkpoint:
        """Return a network as it goes to a file: with what is measured, and how far it came in its subspace, if any."""
        from landscape_cli.evaluation.scores import score_columns
        from landscape_cli.forward.objectives import record_of
        from landscape_cli.io.results import finite
        from landscape_cli.models.fitting import layout_of

        evaluator = self._evaluator_of(params)
        metrics = dict(finite(score_columns(evaluator.evaluate([params]), 0, loss=True)))
        moved = {} if subspace is None else {SUBSPACE: subspace.to_dict()}
        return Checkpoint(
            {name: tensor.cpu() for name, tensor in params.items()},
            self.spec,
            self.data.record,
            history=(*self._earlier, self._provenance_of(file) | moved),
            metrics=metrics,
            preprocessing=self.data.preprocessing.beside_data,
            layout=layout_of(evaluator.model),
            objective=record_of(self.data.objective),
        )

    def write(self, file: CheckpointFile, network: Checkpoint) -> dict[str, Any]:
        """Write a network; return the facts of it."""
        write_checkpoint(file.path, network, force=self._force or (self._resume and self.has_written(file)))
        say(f"wrote {file.path}", quiet=self.quiet)
        return facts_of(network)

    def _provenance_of(self, file: CheckpointFile) -> dict[str, Any]:
        """Return a network's provenance: on the CPU, where it gives the same bytes, that of the run trained alone."""
        arguments = dict(self.provenance["arguments"]) | {"seed": file.seed}
        if self.device.type == "cpu":
            arguments["runs"] = 1
        return self.provenance | {"arguments": arguments, "seed": file.seed} | dict(file.extra)

    def has_written(self, file: CheckpointFile) -> bool:
        """Tell whether a file is there, written by this very training."""
        try:
            last = read_checkpoint(file.path).history[-1]
        except (CheckpointError, IndexError):
            return False
        return {key: value for key, value in last.items() if key != SUBSPACE} == self._provenance_of(file)

    def _evaluator_of(self, params: Params) -> Evaluator:
        """Return the evaluator of all networks, which the first of them makes."""
        from landscape_cli.evaluation.evaluator import Evaluator
        from landscape_cli.models import build_model

        if self._evaluator is None:
            splits = {"train": self.data.train, "test": self.data.test}
            self._evaluator = Evaluator(build_model(self.spec, params), splits, device=self.device)
        return self._evaluator


def facts_of(network: Checkpoint) -> dict[str, Any]:
    """Return what was measured of a network, and how far it came in its subspace, if any."""
    return dict(network.metrics) | {key: value for key, value in network.history[-1].items() if key == SUBSPACE}


def flattened(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each network: those of epochs and snapshots, trained for so many epochs, follow their run.

    Where there are such, columns of their own say which they are.
    """
    kinds = {"epoch": "kept", "snapshot": "snapshots"}
    columns = [column for column, key in kinds.items() if any(key in row for row in rows)]
    flat = []
    for row in rows:
        alone = {key: value for key, value in row.items() if key not in kinds.values()}
        first = {key: alone.pop(key) for key in ("network", "algo", "seed")} | dict.fromkeys(columns)
        flat.append(_columns(first | alone))
        for column in columns:
            for each in row.get(kinds[column], ()):
                which = {"network": each["network"], column: each[column], "epochs": each["epoch"]}
                flat.append(_columns(first | alone | {k: v for k, v in each.items() if k not in kinds} | which))
    return flat


def _columns(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row in which the values of an object are columns of their own."""
    columns: dict[str, Any] = {}
    for key, value in row.items():
        parts = value.items() if isinstance(value, Mapping) else ()
        columns |= {f"{key}_{name}": part for name, part in parts} or {key: value}
    return columns
