"""The options by which several processes share a measurement, and what a command does by them."""

from __future__ import annotations

import glob
import json
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from landscape_cli.cli.console import say
from landscape_cli.cli.groups import Group
from landscape_cli.cli.options import ResultOptions
from landscape_cli.cli.ranks import RANKS_OF_THIS_PROCESS
from landscape_cli.sharing.share import MOST_PARTS

if TYPE_CHECKING:
    from landscape_cli.errors import LandscapeError
    from landscape_cli.evaluation.arithmetic import Arithmetic
    from landscape_cli.sharing.journal import Journal
    from landscape_cli.sharing.share import Share, Values


@dataclass(frozen=True)
class SharingOptions(Group):
    """How several processes, or attempts, share a measurement."""

    panel = "Many processes"

    part: Annotated[
        str | None,
        typer.Option("--part", metavar="K/N", help="Measure the K-th of N parts only, into a file that --merge takes."),
    ] = None
    merge: Annotated[
        bool,
        typer.Option(
            "--merge", help="Take the files of all parts as arguments, and write the result.", show_default=False
        ),
    ] = False
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Keep what is measured in OUTPUT.resume until all is, and go on from such a file.",
            show_default=False,
        ),
    ] = False

    def refuse(self, what: str) -> None:
        """Refuse a measurement by parts, attempts, or several processes.

        Args:
            what: the option that goes with none of them.

        Raises:
            BadParameter: if one is asked for.
        """
        several = RANKS_OF_THIS_PROCESS.launch is not None
        for name, asked in (
            ("--part", self.part is not None),
            ("--resume", self.resume),
            ("torchrun or srun", several),
        ):
            if asked:
                raise typer.BadParameter(f"{what} is measured by one process, at once: leave out {name}")


class Sharing:
    """One command's share of a measurement, and where it goes.

    Attributes:
        result: where the result goes.
        share: which items this process measures, once `begin` was called.
        errors: what could not be written on the way: of this process, and in the end of all.
    """

    share: Share
    errors: list[LandscapeError]

    def __init__(self, context: typer.Context, options: SharingOptions, result: ResultOptions, *, quiet: bool) -> None:
        """Check the options, before any file is read.

        Raises:
            BadParameter: if one makes no sense.
        """
        self._context, self._quiet, self.errors = context, quiet, []
        self._part = None if options.part is None else parse_part(options.part)
        launch = RANKS_OF_THIS_PROCESS.launch
        if self._part is not None and launch is not None:
            raise typer.BadParameter("--part is for processes that know nothing of each other: leave it out")
        plot = getattr(result, "plot", None)
        if self._part is not None and (plot is not None or result.is_csv):
            what = "--plot draws" if plot is not None else "a CSV has"
            raise typer.BadParameter(f"{what} the whole, not a part: ask for it with --merge")
        if options.resume and result.output is None:
            raise typer.BadParameter("--resume keeps its file beside the result: name one with -o")
        rank = 0 if launch is None else launch.rank
        self._state = journal_of(result.output, rank) if options.resume and result.output is not None else None
        self._journal: Journal | None = None
        self._is_forced = result.force
        self.result = replace(result, force=result.force or self._state is not None)  # what is there `begin` looks at
        self._ranks = RANKS_OF_THIS_PROCESS.join()

    @property
    def replaces(self) -> bool:
        """Whether files that are there may be replaced: by --force, or since an earlier attempt has begun."""
        return self._is_forced or (self._state is not None and bool(self._journals()))

    def begin(self, provenance: Mapping[str, Any]) -> Share:
        """Return which items to measure; what is known from an earlier attempt is read.

        Raises:
            Exit: if the result is there already, and whole.
            ResultError: if that is of another measurement, or in use; if another result would be written over.
        """
        from landscape_cli.sharing.journal import Journal, read_journal
        from landscape_cli.sharing.share import Share

        index, count = self._part or (0, 1)
        exchange = None
        if self._ranks is not None:
            index, count, exchange = self._ranks.launch.rank, self._ranks.launch.size, self._exchange
        known: Values = {}
        if self._state is not None and (self._ranks is None or index == 0):
            self._look_before(provenance, self._state)
        RANKS_OF_THIS_PROCESS.agree(provenance)
        identity = dict(provenance) | ({} if self._part is None else {"part": f"{index + 1}/{count}"})
        self._identity = identity
        if self._state is not None:
            self._journal = Journal(self._state, identity)
            known = self._context.with_resource(self._journal.open())
            for other in self._journals():
                if other != self._state:
                    known = {**read_journal(other, identity)[0], **known}
        keep = None if self._journal is None else self._keep
        self.share = Share(index, count, known, keep, exchange)
        return self.share

    def _journals(self) -> list[Path]:
        """Return the files that are there of what was measured: one of each process, also of an earlier attempt."""
        assert self.result.output is not None
        first = journal_of(self.result.output)
        beside = first.parent.glob(f"{glob.escape(first.name)}*")
        return sorted(path for path in beside if re.fullmatch("(-[0-9]+)?", path.name.removeprefix(first.name)))

    def _keep(self, values: Values) -> None:
        assert self._journal is not None
        if self.errors:  # a network that could not be written is measured again, and written
            raise self.errors[0]
        self._journal.keep(values)

    def _exchange(self, own: Values) -> Values:
        """Return what all processes have measured; all but the first end here, once that has written the result."""
        last = (lambda: None) if self._journal is None else self._journal.remove
        everything = RANKS_OF_THIS_PROCESS.gather(own, self.errors, last)
        return {key: value for values in everything for key, value in values.items()}

    def _look_before(self, provenance: Mapping[str, Any], state: Path) -> None:
        """See what is there of an earlier attempt."""
        if not self._is_forced:
            self._check_earlier(provenance, state)
        if not self._journals():
            say(f"there is no {state} to resume from: beginning", quiet=self._quiet)

    def _check_earlier(self, provenance: Mapping[str, Any], state: Path) -> None:
        """See whether what is there was written by an attempt of this very measurement.

        Raises:
            Exit: if all is.
            ResultError: if it was not.
        """
        from landscape_cli.errors import ResultError
        from landscape_cli.io.atomic import check_output
        from landscape_cli.io.lock import locked

        files = [file for file in (self.result.output, getattr(self.result, "plot", None)) if file is not None]
        if not any(file.exists() for file in files):
            return
        if not files[0].exists() or not self._is_of(files[0], provenance):
            for file in files:
                check_output(file, force=False, error=ResultError)
        if not self._journals() and all(file.exists() for file in files):
            with locked(state, what="another measurement that writes it", error=ResultError):
                pass  # which removes the lock that a killed attempt may have left
            say(f"{files[0]} is complete already", quiet=self._quiet)
            raise typer.Exit

    def _is_of(self, file: Path, provenance: Mapping[str, Any]) -> bool:
        """Tell whether a file holds what this command, or this part of it, writes."""
        from landscape_cli.errors import ResultError
        from landscape_cli.io.results import finite
        from landscape_cli.io.saved import read_result

        try:
            found = read_result(file)
        except ResultError:
            return False
        said, marks = found.get("provenance"), found.get("partial")
        part = None if self._part is None else [self._part[0] + 1, self._part[1]]
        return (
            isinstance(said, dict)
            and all(said.get(key) == value for key, value in json.loads(json.dumps(finite(provenance))).items())
            and ([marks.get("part"), marks.get("of")] if isinstance(marks, dict) else None) == part
        )

    def finish(
        self,
        frame: Any,
        values: Values,
        provenance: Mapping[str, Any],
        write: Callable[..., None],
        arithmetic: Arithmetic | None = None,
    ) -> None:
        """Write the result, or this part of it; then what was kept of it on the way is of no more use.

        Args:
            frame: all of the result but what was measured.
            values: this.
            provenance: of the result.
            write: writes a whole result, as `merge` has it written.
            arithmetic: is told what another precision than float32 changes, and says so.

        Raises:
            LandscapeError: if it cannot be written.
        """
        from landscape_cli.measures.items import count_compared

        if arithmetic is not None:
            count_compared(arithmetic, values)
            arithmetic.tell()
        if self._part is None:
            write(frame, values, counted(provenance, values), self.result, quiet=self._quiet)
        else:
            self._write_part(frame, values, provenance)
        if self._journal is not None:
            self._journal.remove()
            for other in self._journals():
                other.unlink(missing_ok=True)
        elif self.result.output is not None:
            self._remove_earlier()

    def _remove_earlier(self) -> None:
        """Remove what an earlier attempt, with --resume, has kept of this very measurement, unless it is going on."""
        from landscape_cli.errors import ResultError
        from landscape_cli.io.lock import locked
        from landscape_cli.sharing.journal import read_journal

        for path in self._journals():
            with suppress(ResultError), locked(path, what="another measurement that writes it", error=ResultError):
                read_journal(path, self._identity)
                path.unlink(missing_ok=True)

    def _write_part(self, frame: Any, values: Values, provenance: Mapping[str, Any]) -> None:
        from landscape_cli.cli.stdout import writing_stdout
        from landscape_cli.errors import ResultError
        from landscape_cli.io.atomic import write_atomic
        from landscape_cli.io.records import to_record
        from landscape_cli.io.results import finite
        from landscape_cli.sharing.partial import FORMAT, Part

        assert self._part is not None
        index, count = self._part
        name = self._context.info_name or ""
        text = Part(FORMAT, name, index + 1, count, finite(provenance), to_record(frame), values).to_json()
        if self.result.output is not None:
            write_atomic(self.result.output, text.encode(), force=self.result.force, error=ResultError)
            say(f"wrote {self.result.output}, part {index + 1} of {count}", quiet=self._quiet)
        elif sys.stdout is not None:
            with writing_stdout():
                sys.stdout.write(text)
                sys.stdout.flush()


def parse_part(text: str) -> tuple[int, int]:
    """Return which part is meant, counted from 0, and of how many.

    Raises:
        BadParameter: if it is none.
    """
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    part, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= part <= count <= MOST_PARTS:
        raise typer.BadParameter(
            f"--part takes which part and of how many, at most {MOST_PARTS}, from 1/8 to 8/8 of eight, not {text!r}"
        )
    return part - 1, count


def journal_of(output: Path, rank: int = 0) -> Path:
    """Return the file that keeps what a process has measured of an output until all was."""
    return output.with_name(f"{output.name}.resume{f'-{rank}' if rank else ''}")


def counted(provenance: Mapping[str, Any], values: Values) -> dict[str, Any]:
    """Return a provenance that says what another precision than float32 changes, if it was another."""
    from landscape_cli.evaluation.arithmetic import Arithmetic
    from landscape_cli.measures.items import count_compared

    arithmetic = Arithmetic()
    count_compared(arithmetic, values)
    data = {"data": provenance["data"]} if "data" in provenance else {}
    return {**data, **arithmetic.record(), **provenance}
