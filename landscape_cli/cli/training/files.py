"""What `landscape train` writes: a checkpoint for every run, and for every replica where asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from landscape_cli.cli.console import say
from landscape_cli.cli.provenance import make_provenance
from landscape_cli.errors import CheckpointError, TrainingError
from landscape_cli.io.atomic import check_output
from landscape_cli.io.checkpoint import Checkpoint, check_checkpoint_name, read_checkpoint, write_checkpoint

if TYPE_CHECKING:
    import torch

    from landscape_cli.data.datasets import DataSet
    from landscape_cli.evaluation.evaluator import Evaluator
    from landscape_cli.network import ModelSpec, Params
    from landscape_cli.samplers import Solution

FIELD = "{seed}"
SUBSPACE = "subspace"
OF_THE_RESULT = ("replica", SUBSPACE)
"""What a checkpoint says of its training beside how that was started."""


class CheckpointFiles:
    """The files of one training: where they go, what they say of themselves, and whether they are there already.

    Attributes:
        paths: one a run.
        replica_paths: of each run, one a replica that is written as well.
        state: where the state of training is kept meanwhile.
        provenance: how the networks were made, once `describe` has been told.
    """

    def __init__(self, template: Path, seeds: Sequence[int], *, replicas: int, force: bool, resume: bool) -> None:
        """Check, before any work, that all may be written.

        Args:
            template: the name; with several runs, with a field for the seed.
            seeds: one a run.
            replicas: how many of each run are written as well; 0 for none.
            force: whether existing files may be replaced.
            resume: whether files may exist that this very training has written.

        Raises:
            BadParameter: if several runs would write one file.
            CheckpointError: if a name is not a checkpoint's, or a file stands in the way.
        """
        check_checkpoint_name(template)
        text = str(template)
        if len(seeds) > 1 and FIELD not in template.name:
            named = template.with_name(f"{template.stem}-{FIELD}{template.suffix}")
            raise typer.BadParameter(f"--runs writes one file a run: put the seed into its name, as in -o '{named}'")
        if "{" in text.replace(FIELD, ""):
            raise typer.BadParameter(f"{template} has a field that is not known: only {FIELD} is")
        self.seeds = list(seeds)
        self.paths = [Path(text.replace(FIELD, str(seed))) for seed in seeds]
        self.replica_paths = [
            [path.with_name(f"{path.stem}-replica{number + 1}{path.suffix}") for number in range(replicas)]
            for path in self.paths
        ]
        span = str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]}..{seeds[-1]}"
        self.state = Path(f"{text.replace(FIELD, span)}.resume")
        self.force, self.resume = force, resume
        for path, _ in self._all():
            if not (resume and path.is_file()):
                check_output(path, force=force, error=CheckpointError)
        if self.state.is_dir():
            raise CheckpointError(f"{self.state} is a directory, where the state of training would go: move it")
        if self.state.exists() and not resume and not force:
            raise CheckpointError(
                f"{self.state} is left of a training that was interrupted: add --resume to go on, or --force to begin "
                "anew"
            )

    def describe(
        self,
        context: typer.Context,
        algo: str,
        *,
        spec: ModelSpec,
        data: DataSet,
        starts: Sequence[Checkpoint],
        device: torch.device,
        quiet: bool,
        chosen: Mapping[str, Any],
    ) -> None:
        """Take note of what checkpoints say of themselves; `chosen` are options that were left to the command.

        Raises:
            CheckpointError: if a file stands in the way that is not of this training.
        """
        self.algo, self.spec, self.data, self.device, self.quiet = algo, spec, data, device, quiet
        seed = self.seeds[0]
        self.provenance = make_provenance(context, device=device, seed=seed, networks=starts, data=data, **chosen)
        self._earlier = tuple(step for start in starts for step in start.history)
        if self.resume and not self.force:
            for path, seed in self._all():
                if path.exists() and not self._is_of_this_training(path, seed):
                    raise CheckpointError(
                        f"{path} exists already, of another training: choose another name, or --force"
                    )

    def are_finished(self) -> bool:
        """Tell whether all files are there, written by this training."""
        return self.resume and not self.force and all(path.exists() for path, _ in self._all())

    def finished_rows(self) -> list[dict[str, Any]]:
        """Return a row for each network that is there already.

        Raises:
            CheckpointError: if one cannot be read.
        """
        return [
            {"network": str(path), "algo": self.algo, "seed": seed} | dict(network.metrics) | _subspace_of(network)
            for path, seed in zip(self.paths, self.seeds, strict=True)
            for network in [read_checkpoint(path)]
        ]

    def write(self, solutions: Sequence[Solution], state: Path) -> list[dict[str, Any]]:
        """Measure and write every network; return a row for each.

        Args:
            solutions: of the runs.
            state: where the state of training is, if it was saved.

        Raises:
            CheckpointError: if one cannot be written; it says where the trained networks still are.
        """
        try:
            return self._write_all(solutions)
        except CheckpointError as error:
            if not state.exists():
                raise
            raise CheckpointError(
                f"{error} (the trained networks are safe in {state}: once the way is free, repeat the command with "
                "--resume)"
            ) from error

    def check_all_written(self, solutions: Sequence[Solution]) -> None:
        """Raise if a run has come to nothing.

        Raises:
            TrainingError: naming the seeds.
        """
        lost = [solution for solution in solutions if solution.params is None]
        if lost:
            seeds = ", ".join(f"{solution.seed} in epoch {solution.epochs}" for solution in lost)
            raise TrainingError(
                f"training diverged (seed {seeds}: weights or loss are not finite), so no network was written for "
                f"{'it' if len(lost) == 1 else 'them'}: lower --lr"
            )

    def _write_all(self, solutions: Sequence[Solution]) -> list[dict[str, Any]]:
        from landscape_cli.evaluation.evaluator import Evaluator
        from landscape_cli.models import build_model

        networks = [solution.params for solution in solutions if solution.params is not None]
        if not networks:
            return []
        splits = {"train": self.data.train, "test": self.data.test}
        evaluator = Evaluator(build_model(self.spec, networks[0]), splits, device=self.device)
        rows: list[dict[str, Any]] = []
        for solution, path, replica_paths in zip(solutions, self.paths, self.replica_paths, strict=True):
            if solution.params is None:
                continue
            subspace = {} if solution.subspace is None else {SUBSPACE: solution.subspace.to_dict()}
            row = self._write(evaluator, path, solution.params, solution.seed, subspace)
            rows.append(row | {"epochs": solution.epochs} | subspace)
            for number, (replica, replica_path) in enumerate(zip(solution.replicas, replica_paths, strict=True)):
                self._write(evaluator, replica_path, replica, solution.seed, {"replica": number + 1})
        return rows

    def _write(
        self, evaluator: Evaluator, path: Path, params: Params, seed: int, extra: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        scores = evaluator.evaluate([params])
        metrics = {f"{split}_error": float(score.error) for split, score in scores.items()} | {
            f"{split}_loss": float(score.loss) for split, score in scores.items()
        }
        checkpoint = Checkpoint(
            {name: tensor.cpu() for name, tensor in params.items()},
            self.spec,
            self.data.record,
            history=(*self._earlier, self._provenance_of(seed) | (extra or {})),
            metrics=metrics,
        )
        force = self.force or (self.resume and self._is_of_this_training(path, seed))
        write_checkpoint(path, checkpoint, force=force)
        say(f"wrote {path}", quiet=self.quiet)
        return {"network": str(path), "algo": self.algo, "seed": seed} | metrics

    def _provenance_of(self, seed: int) -> dict[str, Any]:
        """Return a run's provenance: on the CPU, where it gives the same bytes, that of the run trained alone."""
        arguments = dict(self.provenance["arguments"]) | {"seed": seed}
        if self.device.type == "cpu":
            arguments["runs"] = 1
        return self.provenance | {"arguments": arguments, "seed": seed}

    def _is_of_this_training(self, path: Path, seed: int) -> bool:
        try:
            last = read_checkpoint(path).history[-1]
        except (CheckpointError, IndexError):
            return False
        return {key: value for key, value in last.items() if key not in OF_THE_RESULT} == self._provenance_of(seed)

    def _all(self) -> list[tuple[Path, int]]:
        """Return every file, and the seed of its run."""
        return [
            (path, seed)
            for seed, network, replicas in zip(self.seeds, self.paths, self.replica_paths, strict=True)
            for path in (network, *replicas)
        ]


def _subspace_of(network: Checkpoint) -> dict[str, Any]:
    """Return what a network's training says of the subspace that it was confined to, if any."""
    return {key: value for key, value in network.history[-1].items() if key == SUBSPACE}
