"""What `landscape train` writes: a checkpoint for every run; for replicas, snapshots and epochs where asked.

Networks of epochs are written at once, whole, before the state of training can come to stand after them: whatever is
killed, a training that goes on from its state finds them there, or takes them again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from landscape_cli.cli.console import say
from landscape_cli.cli.outputs import check_room_for
from landscape_cli.cli.training.names import CheckpointFile, check_template, run_files, state_file
from landscape_cli.cli.training.writer import CheckpointWriter, facts_of
from landscape_cli.errors import CheckpointError, TrainingError, listed
from landscape_cli.io.atomic import check_outputs, remove_leftovers
from landscape_cli.io.checkpoint import Checkpoint, read_checkpoint
from landscape_cli.io.regular import resolved

if TYPE_CHECKING:
    import torch

    from landscape_cli.data.datasets import DataSet
    from landscape_cli.network import ModelSpec, Params
    from landscape_cli.samplers import EpochNetwork, Solution
    from landscape_cli.samplers.subspace import Displacement


class CheckpointFiles:
    """The files of one training: where they go, what they say of themselves, and whether they are there already.

    Attributes:
        state: where the state of training is kept meanwhile.
        of_result: the provenance of the result, once `describe` has been told.
    """

    def __init__(
        self,
        template: Path,
        seeds: Sequence[int],
        *,
        replicas: int,
        snapshots: Sequence[int],
        keep_epochs: Sequence[int],
        force: bool,
        resume: bool,
    ) -> None:
        """Check, before any work, that all may be written.

        Args:
            template: the name; with several runs, with a field for the seed.
            seeds: one a run.
            replicas: how many of each run are written as well; 0 for none.
            snapshots: the epochs of the snapshots that are written as well.
            keep_epochs: other epochs whose networks are written as well; 0 for the beginning.
            force: whether existing files may be replaced.
            resume: whether files may exist that this very training has written.

        Raises:
            BadParameter: if several runs would write one file.
            CheckpointError: if a name is not a checkpoint's, or a file stands in the way.
        """
        check_template(template, seeds)
        self.seeds = list(seeds)
        self._runs = {
            seed: run_files(template, seed, replicas=replicas, snapshots=snapshots, keep_epochs=keep_epochs)
            for seed in seeds
        }
        self.state = state_file(template, seeds)
        self._taken: dict[Path, dict[str, float]] = {}
        self._waiting: dict[Path, tuple[CheckpointFile, EpochNetwork]] = {}
        self._failures: dict[Path, CheckpointError] = {}
        self._unwritten: dict[Path, Checkpoint] = {}
        self.force, self.resume = force, resume
        new = (path for path in self.all_paths if not (resume and path.is_file()))
        check_outputs(new, force=force, error=CheckpointError)
        if self.state.is_dir():
            raise CheckpointError(f"{self.state} is a directory, where the state of training would go: move it")
        if self.state.exists() and not resume and not force:
            raise CheckpointError(
                f"{self.state} is left of a training that was interrupted: add --resume to go on, or --force to begin "
                "anew"
            )

    def check_not_read(self, inputs: Mapping[str, Sequence[Path]], *, log: Path | None = None) -> None:
        """Check that nothing which training reads is written over.

        Args:
            inputs: the files, by the option that names them.
            log: what is written as well, if anything.

        Raises:
            CheckpointError: naming the file.
        """
        if not any(inputs.values()):
            return
        written = {resolved(path): path for path in (*self.all_paths, self.state, *([] if log is None else [log]))}
        for option, paths in inputs.items():
            for path in paths:
                if resolved(path) in written:
                    raise CheckpointError(
                        f"{written[resolved(path)]} is what {option} reads, and would be written over: choose another "
                        f"name with {'--log' if written[resolved(path)] == log else '-o'}"
                    )

    @property
    def all_paths(self) -> list[Path]:
        """Every file that a checkpoint goes to."""
        return [file.path for file in self._all()]

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
            CheckpointError: if a file stands in the way that is not of this training, or the disk is too full for all.
        """
        from landscape_cli.models.registry import construct_template

        self.algo, self.spec, self.quiet = algo, spec, quiet
        self._writer = CheckpointWriter(
            context,
            spec,
            data,
            starts,
            seed=self.seeds[0],
            device=device,
            force=self.force,
            resume=self.resume,
            quiet=quiet,
            chosen=chosen,
        )
        self.of_result = self._writer.of_result
        check_room_for(self.all_paths, construct_template(spec).state_dict())
        if self.resume and not self.force:
            for file in self._all():
                if file.path.exists() and not self._writer.has_written(file):
                    raise CheckpointError(
                        f"{file.path} exists already, of another training: choose another name, or --force"
                    )

    def find_taken(self, last_epochs: Mapping[int, int]) -> None:
        """Find the networks of epochs that were written before the state which training goes on from.

        Args:
            last_epochs: the last epoch before the state after which each run had a network, by its seed.

        Raises:
            CheckpointError: if one is not there, as it cannot be had any more.
        """
        for file in self._on_the_way():
            if file.extra["epoch"] > last_epochs.get(file.seed, -1):
                continue
            if not self._writer.has_written(file):
                raise CheckpointError(
                    f"{file.path} is not there, and {self.state} stands after epoch {file.extra['epoch']}: put it "
                    "back, do not ask for it, or begin anew with --force and without --resume"
                )
            self._taken[file.path] = facts_of(read_checkpoint(file.path))

    def are_finished(self) -> bool:
        """Tell whether the networks are there, written by this training; what is written on the way was before."""
        ends = [file.path for files in self._runs.values() for file in files.at_the_end]
        return self.resume and not self.force and all(path.exists() for path in ends)

    def finished_rows(self) -> list[dict[str, Any]]:
        """Return a row for each network that is there already.

        Raises:
            CheckpointError: if one cannot be read.
        """
        self.remove_leftovers()
        for file in self._on_the_way():
            if file.path.exists():
                self._taken[file.path] = facts_of(read_checkpoint(file.path))
        missing = [file.path for file in self._on_the_way() if file.path not in self._taken]
        if missing:
            say(f"not there: {listed(missing)}", quiet=self.quiet)
        return [self._row(file, facts_of(read_checkpoint(file.path))) for file in self._solutions()]

    def take(self, network: EpochNetwork) -> None:
        """Measure and write a network of an epoch; where the disk refuses it is kept, and tried again later."""
        for file in self._runs[network.seed].on_the_way:
            if file.extra["epoch"] == network.epoch:
                params = {name: tensor.detach().clone() for name, tensor in network.params.items()}
                self._waiting[file.path] = file, replace(network, params=params)
        self.write_waiting()

    def write_waiting(self) -> bool:
        """Write the networks of epochs that are not written yet; tell whether all are."""
        for path, (file, network) in list(self._waiting.items()):
            try:
                measured = self._writer.measure(file, network.params, network.subspace)
                self._taken[path] = self._writer.write(file, measured)
            except CheckpointError as error:
                if path not in self._failures:
                    say(f"warning: {error}: training goes on, and this is tried again")
                self._failures[path] = error
            else:
                del self._waiting[path]
                self._failures.pop(path, None)
        return not self._waiting

    def write(self, solutions: Sequence[Solution]) -> list[dict[str, Any]]:
        """Measure and write every network that can be; return a row for each run that has one.

        `check_all_written` says which could not be written.
        """
        rows = self._write_all(solutions)
        self.write_waiting()
        for solution in solutions:
            files = self._runs[solution.seed].on_the_way
            paths = [file.path for file in files if file.path not in self._taken and file.path not in self._waiting]
            if paths:
                ended = "diverged in" if solution.params is None else "ended with"
                say(
                    f"not written: {listed(paths)}, as seed {solution.seed} {ended} epoch {solution.epochs}",
                    quiet=self.quiet,
                )
        return rows

    def network_of(self, seed: int) -> Checkpoint | None:
        """Return the network that a run came to, also where it could not be written; None if there is none."""
        path = self._runs[seed].solution.path
        return self._unwritten.get(path) or (read_checkpoint(path) if path.exists() else None)

    @property
    def has_failed(self) -> bool:
        """Whether a network could not be written."""
        return bool(self._failures)

    def check_no_failure(self, kept: str) -> None:
        """Raise if a network could not be written.

        Args:
            kept: where the networks still are.

        Raises:
            CheckpointError: naming the files.
        """
        if self._failures:
            first, *more = self._failures
            others = f", nor can {listed(more)} be written" if more else ""
            raise CheckpointError(f"{self._failures[first]}{others} ({kept})") from self._failures[first]

    def remove_leftovers(self) -> None:
        """Remove what killed processes have left beside the files."""
        for path in (*self.all_paths, self.state):
            remove_leftovers(path)

    def check_all_written(self, solutions: Sequence[Solution], *, scaled: bool) -> None:
        """Raise if a run has come to nothing.

        Args:
            solutions: of all runs.
            scaled: whether the user chose the scale of initial weights.

        Raises:
            TrainingError: naming the seeds.
        """
        lost = [solution for solution in solutions if solution.params is None]
        if lost:
            seeds = ", ".join(f"{solution.seed} in epoch {solution.epochs}" for solution in lost)
            kept = any(file.path in self._taken for each in lost for file in self._runs[each.seed].on_the_way)
            at_once = scaled and all(solution.epochs <= 1 for solution in lost)
            raise TrainingError(
                f"training diverged (seed {seeds}: weights or loss are not finite), so no network was written for "
                f"{'it' if len(lost) == 1 else 'them'}{' but those on the way' * kept}: lower "
                f"{'--init-scale, or ' * at_once}--lr"
            )

    def _write_all(self, solutions: Sequence[Solution]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for solution in solutions:
            if solution.params is None:
                continue
            files = self._runs[solution.seed]
            facts = self._try_to_write(files.solution, solution.params, solution.subspace)
            if facts is not None:
                rows.append(self._row(files.solution, facts) | {"epochs": solution.epochs})
            for replica, file in zip(solution.replicas, files.replicas, strict=True):
                self._try_to_write(file, replica)
        return rows

    def _try_to_write(
        self, file: CheckpointFile, params: Params, subspace: Displacement | None = None
    ) -> dict[str, Any] | None:
        """Measure and write a network; return what was measured, or None where the disk refuses: others may go."""
        network = self._writer.measure(file, params, subspace)
        try:
            return self._writer.write(file, network)
        except CheckpointError as error:
            self._failures[file.path], self._unwritten[file.path] = error, network
            return None

    def _row(self, file: CheckpointFile, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Return the row of a run, with those of its networks that were written on the way."""
        row: dict[str, Any] = {"network": str(file.path), "algo": self.algo, "seed": file.seed, **facts}
        run = self._runs[file.seed]
        for key, files in (("kept", run.epochs), ("snapshots", run.snapshots)):
            if files:
                row[key] = [
                    {"network": str(each.path), **each.extra, **self._taken[each.path]}
                    for each in files
                    if each.path in self._taken
                ]
        return row

    def _solutions(self) -> list[CheckpointFile]:
        """Return the files of the networks that runs come to."""
        return [files.solution for files in self._runs.values()]

    def _on_the_way(self) -> list[CheckpointFile]:
        """Return the files of epochs and snapshots."""
        return [file for files in self._runs.values() for file in files.on_the_way]

    def _all(self) -> list[CheckpointFile]:
        """Return every file."""
        return [file for files in self._runs.values() for file in (*files.at_the_end, *files.on_the_way)]
