"""The networks that `path` writes: at any τ of the path between two, merged of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from landscape_cli.cli.groups import Group
from landscape_cli.cli.outputs import check_distinct, export_paths, named_paths, write_export, write_network
from landscape_cli.cli.parsing import numbers
from landscape_cli.errors import CheckpointError
from landscape_cli.io.atomic import check_output
from landscape_cli.io.regular import resolved

if TYPE_CHECKING:
    from landscape_cli.data.datasets import DataSet
    from landscape_cli.errors import LandscapeError
    from landscape_cli.io.checkpoint import Checkpoint
    from landscape_cli.measures.path_evaluator import PathEvaluator
    from landscape_cli.network import Params


@dataclass(frozen=True)
class NetworkOptions(Group):
    """Which networks of the path are written."""

    panel = "Networks of the path"

    network_at: Annotated[
        str | None,
        typer.Option(
            "--network-at",
            metavar="TAU[,TAU…]",
            help="Write the network at this τ of the path, 0 to 1, as it is measured there (with --bn recompute, its "
            "statistics too): merged of both ends. Several by commas.",
        ),
    ] = None
    network_out: Annotated[
        Path | None,
        typer.Option(
            "--network-out",
            help="Where to: .st or .safetensors; .pt, .pth or .bin: a plain state_dict. Of several 'm-{tau}.st', with "
            "--pairs 'm-{start}-{end}.st'.",
        ),
    ] = None
    export: Annotated[
        Path | None,
        typer.Option(
            "--export",
            help="Also, or only, a plain state_dict, for the code that the start came from: .pt, .pth, .bin or "
            ".safetensors; named likewise.",
        ),
    ] = None


@dataclass(frozen=True)
class NetworkAt:
    """A network of a path that is to be written.

    Attributes:
        tau: where on the path.
        output: its checkpoint, if there is to be one.
        export: its plain `state_dict`, if there is to be one.
    """

    tau: float
    output: Path | None
    export: Path | None


def networks_at(
    options: NetworkOptions, ends: Sequence[tuple[Path, Path]], outputs: Sequence[Path | None], *, force: bool
) -> list[list[NetworkAt]]:
    """Return which networks of the path between each pair are to be written, checking that they may.

    Args:
        options: those of the command, in whose names {start} and {end} stand for the stems of the two files, {tau} for
            where on the path.
        ends: the files of each pair.
        outputs: further outputs of the command.
        force: whether existing files may be replaced.

    Raises:
        BadParameter: if options are malformed, or do not go together.
        CheckpointError: if two would go to one file, or a file stands in the way.
        ResultError: if one would be another output.
    """
    from landscape_cli.io.checkpoint import check_checkpoint_name

    if options.network_at is None:
        for name, template in (("--network-out", options.network_out), ("--export", options.export)):
            if template is not None:
                raise typer.BadParameter(f"{name} is for a network of the path: say which with --network-at")
        return [[] for _ in ends]
    if options.network_out is None and options.export is None:
        raise typer.BadParameter("--network-at names a network to write: say where to with --network-out")
    taus = numbers(options.network_at, "--network-at")
    wrong = next((tau for tau in taus if not 0 <= tau <= 1), None)
    if wrong is not None:
        raise typer.BadParameter(f"--network-at takes τ from 0 to 1, not {wrong:g}")
    names = [{"{tau}": f"{tau:.10g}", "{start}": start.stem, "{end}": end.stem} for start, end in ends for tau in taus]
    written: list[Path] = []
    if options.network_out is not None:
        written = named_paths(options.network_out, "--network-out", names)
        for path in written:
            check_checkpoint_name(path)
            check_output(path, force=force, error=CheckpointError)
    exported = export_paths(options.export, names, (*outputs, *written), force=force)
    check_distinct(*outputs, *written, *exported)
    read = {resolved(file) for pair in ends for file in pair}
    for path in (*written, *exported):
        if resolved(path) in read:
            raise CheckpointError(f"{path} is one of the networks themselves: name the merged one otherwise")
    every = [
        NetworkAt(tau, written[k] if written else None, exported[k] if exported else None)
        for k, tau in enumerate(taus * len(ends))
    ]
    return [every[k : k + len(taus)] for k in range(0, len(every), len(taus))]


@dataclass(frozen=True)
class NetworkWriter:
    """Measures and writes networks of paths.

    Attributes:
        evaluator: of the paths.
        data: the data, as the networks see them.
        provenance: what they say of this command, given the networks read.
        force: whether existing files may be replaced.
        quiet: whether to say nothing.
        errors: why some could not be written, added to on the way.
    """

    evaluator: PathEvaluator
    data: DataSet
    provenance: Callable[..., dict[str, Any]]
    force: bool
    quiet: bool
    errors: list[LandscapeError]

    def write(
        self,
        wanted: Sequence[NetworkAt],
        ends: Sequence[Checkpoint],
        stops: Sequence[Params],
        *,
        advance: Callable[[int], None] | None = None,
    ) -> list[dict[str, Any]]:
        """Measure and write networks of one path; return a row for each: where it is, its files, errors and losses.

        Args:
            wanted: which.
            ends: both networks, as they are measured.
            stops: the networks that the path leads through, ends included.
            advance: called with the number of samples done.
        """
        return [self._write(each, ends, stops, advance) for each in wanted]

    def _write(
        self,
        wanted: NetworkAt,
        ends: Sequence[Checkpoint],
        stops: Sequence[Params],
        advance: Callable[[int], None] | None,
    ) -> dict[str, Any]:
        params = self.evaluator.network_at(stops, wanted.tau)
        metrics = self.evaluator.metrics(params, advance=advance)
        step = self.provenance(networks=ends, network_at=wanted.tau)
        normalized = self.evaluator.claim_of(params, ends)
        network = merged(ends, params, data=self.data, step=step, metrics=metrics, normalized=normalized)
        failures = {}
        if wanted.output is not None:
            failures["path"] = write_network(wanted.output, network, force=self.force, quiet=self.quiet)
        if wanted.export is not None:
            failures["export"] = write_export(wanted.export, network, force=self.force, quiet=self.quiet)
        self.errors.extend(error for error in failures.values() if error is not None)
        files = {"path": wanted.output, "export": wanted.export}
        names = {key: str(path) for key, path in files.items() if path is not None and failures[key] is None}
        return {"tau": wanted.tau, **dict.fromkeys(failures), **names, **metrics}


def merged(
    networks: Sequence[Checkpoint],
    params: Params,
    *,
    data: DataSet | None,
    step: Mapping[str, Any],
    metrics: Mapping[str, Any],
    normalized: Mapping[str, Any] | None = None,
) -> Checkpoint:
    """Return the checkpoint of a network made of several: their history and this command's, the first's names.

    What is measured is of the data, their preprocessing and objective; without, they are the networks' own.

    Args:
        networks: what it is made of.
        params: its tensors.
        data: what it was measured on, as it sees them; None if it was not.
        step: what made it.
        metrics: what was measured of it.
        normalized: how it was normalised, if it was.
    """
    from landscape_cli.forward.objectives import record_of

    first = networks[0]
    history = (*(earlier for network in networks for earlier in network.history), step)
    about: dict[str, Any] = {"data": first.data if all(each.data == first.data for each in networks) else {}}
    if data is not None:
        about = {"data": data.record, "preprocessing": data.preprocessing.beside_data}
        about["objective"] = record_of(data.objective)
    return replace(
        first,
        params=params,
        **about,
        history=history,
        metrics=metrics,
        normalized=normalized,
        path="",
        sha256="",
    )
