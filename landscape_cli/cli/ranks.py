"""The processes that torchrun or srun has started together, as the command line has them: the first speaks for all."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, suppress
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from landscape_cli.errors import LandscapeError
from landscape_cli.sharing.launch import Launch, find_launch
from landscape_cli.sharing.share import Share

if TYPE_CHECKING:
    from landscape_cli.sharing.ranks import Ranks

T = TypeVar("T")
ALONE = ("normalize", "plot")
"""The commands that no processes share."""
OURS = 1
HARD_SECONDS, PATIENT_SECONDS = 5.0, 60.0
"""After so long a process whose work does not let go, as a kernel may not, ends in the midst of it; and where it has
something to save before."""
MARK = "landscape: error: "


class RanksOfThisProcess:
    """Which processes the command shares its work with, and how they end: all together.

    Attributes:
        launch: which of them this is; None of one alone.
        said: the lines that it has printed, or would have as the first.
    """

    launch: Launch | None = None
    _ranks: Ranks | None = None
    _lost: tuple[int, str] | None = None
    _patience = HARD_SECONDS

    def __init__(self) -> None:
        """Begin as one alone."""
        self.said: list[str] = []

    def begin(self) -> None:
        """Find out which process this is; all but the first are silent from here on.

        Raises:
            RankError: if the environment makes no sense.
        """
        self.launch = self._ranks = self._lost = None
        self.said = []
        self._stdout, self._stderr = sys.stdout, sys.stderr
        self.launch = find_launch()
        if self.launch is not None and self.launch.rank:
            sys.stdout = sys.stderr = io.StringIO()  # which nobody reads

    def check_shares(self, command: str, *, merges: bool) -> None:
        """Check that several processes share a command's work.

        Raises:
            LandscapeError: if none do.
        """
        if self.launch is not None and (merges or command in ALONE):
            what = f"{command} --merge" if merges else command
            raise LandscapeError(f"{what} is the work of one process: start it without torchrun or srun")

    def join(self, *, saves: bool = False) -> Ranks | None:
        """Return the processes, once they are all there; None if there is only this one.

        Args:
            saves: whether this one saves what it has come to before it ends.

        Raises:
            RankError: if they do not come.
        """
        self._patience = PATIENT_SECONDS if saves else HARD_SECONDS
        if self.launch is not None and self._ranks is None:
            os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")  # it would write pages of addresses
            from landscape_cli.sharing.ranks import Ranks

            with redirect_stderr(self._stderr):  # who waits for the others says so
                self._ranks = Ranks(self.launch, lost=self._end_with)
        return self._ranks

    def agree(self, identity: Mapping[str, Any]) -> None:
        """Go on once all processes are here, and measure the same.

        Args:
            identity: what makes this measurement this one.

        Raises:
            RankError: if one ends before.
            ResultError: if one measures something else.
            Exit: in other processes than the first, if that has nothing to do.
        """
        if self._ranks is None:
            return
        from landscape_cli.io.results import finite
        from landscape_cli.sharing.journal import check_same

        if not self._ranks.go():
            raise typer.Exit
        identity = json.loads(json.dumps(finite(identity)))  # as it comes from others
        remedy = "start all with the same command, files and versions"
        for rank, other in enumerate(self._ranks.gather(identity) or []):
            check_same(other, identity, f"process {rank + 1} of {self._ranks.launch.size}", remedy)

    def own(self, items: Sequence[T]) -> list[T]:
        """Return which of a command's items fall to this process."""
        return list(items) if self.launch is None else Share(self.launch.rank, self.launch.size).own([items])

    def gather(self, value: Any, errors: list[LandscapeError], last: Callable[[], None] = lambda: None) -> list[Any]:
        """Return what every process gives; but for the first one they end here, once that has done the rest.

        Args:
            value: JSON values.
            errors: of this process; those of the others are added.
            last: what the others do in the end.

        Raises:
            Exit: in other processes than the first, at the end.
            RankError: if one ends before.
        """
        if self._ranks is None:
            return [value]
        everything = self._ranks.gather([value, [[str(error), error.exit_code] for error in errors], self.said])
        if everything is None:
            self._ranks.wait()
            last()
            raise typer.Exit
        for _, others, lines in everything[1:]:
            for said, code in others:
                errors.append(LandscapeError(said))
                errors[-1].exit_code = code
            new = list(dict.fromkeys(line for line in lines if line not in self.said))
            self.said += new
            self._say("".join(f"{line}\n" for line in new))
        return [value for value, *_ in everything]

    def finish(self) -> None:
        """End well, together."""
        if self._ranks is not None:
            self._ranks.finish()
        sys.stdout = self._stdout

    def fail(self, report: Callable[[], int]) -> int:
        """End with an error, all together; return the exit code.

        Args:
            report: says what is wrong with this process, and returns its exit code.
        """
        if self.launch is None:
            return report()
        said = ""
        if self._lost is not None:  # what this process came to is of no interest
            code, words = self._lost
            self._say(words)
        elif self.launch.rank:
            sys.stderr = io.StringIO()
            code, said = report(), sys.stderr.getvalue()
            if self._ranks is None and code == OURS:  # what is the user's, every process finds, and the first says
                self._say(said)
        else:
            code = report()
        if self._ranks is not None:
            self._ranks.fail(code, said)
        sys.stdout = self._stdout
        return code

    def _say(self, words: str) -> None:
        with suppress(OSError, ValueError):
            self._stderr.write(words)
            self._stderr.flush()

    def _end_with(self, other: int, code: int | None, said: str) -> None:
        """End this process, in which another thread works, since another process has ended."""
        assert self.launch is not None
        if self._lost is not None:
            return
        which = f"process {other + 1} of {self.launch.size}"
        if self.launch.rank > 1 or (self.launch.rank == 1 and code is not None):
            words = ""  # the first says it; if that was killed, the second
        elif code is None:
            words = f"{MARK}{which} was killed, or is out of reach: see why, and repeat the command\n"
        else:
            words = said.replace(MARK, f"{MARK}{which}: ")
        self._lost = (OURS if code is None else code, words)
        ending = threading.Timer(self._patience, self._end_hard)
        ending.daemon = True
        ending.start()
        os.kill(os.getpid(), signal.SIGTERM)  # raises in the main thread

    def _end_hard(self) -> None:
        assert self._lost is not None
        code, words = self._lost
        self._say(words)
        if self._ranks is not None:
            self._ranks.fail(code, "")
        os._exit(code)


RANKS_OF_THIS_PROCESS = RanksOfThisProcess()
