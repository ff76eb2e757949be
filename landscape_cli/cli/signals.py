"""Ctrl-C and SIGTERM: one of them ends the program in one line, at any moment, and a second changes nothing.

Nothing is imported here that takes time: this is what the program begins with.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
import time
from enum import Enum
from types import FrameType
from typing import Any, NoReturn

INTERRUPTED, TERMINATED = 130, 143
RETRY_SECONDS = 0.02
GRACE_SECONDS = 1.0
"""So long a program that ends may take; then a further signal ends it at once.
So long, too, an import of the user's is waited for."""
IMPORT_SECONDS = 3.0
"""So long any other import is: it would swallow what is raised, and so the process ends in the midst of it."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)
USERS_IMPORTS = os.path.join("user_code", "imports.py")
"""Where the user's modules are imported from; that other imports take long is no reason to break them off."""


class Interrupted(KeyboardInterrupt):
    """SIGINT arrived. Where a plain one passes through `exec`, Python ends by the signal, whatever the exit code."""


class Terminated(BaseException):
    """SIGTERM arrived."""


class _Phase(Enum):
    OUTSIDE = "the signals are not ours"
    STARTING = "nothing has been done yet: a signal ends the process"
    WORKING = "a signal raises what ends the command"
    ENDING = "a signal has come, or the command has ended"


class _Signals:
    """Which of its phases the program is in, and so what a signal does."""

    def __init__(self) -> None:
        self.phase = _Phase.OUTSIDE
        self._ending_since = 0.0
        self._waiting_since: float | None = None
        self._code = 0
        self._previous: dict[int, Any] | None = None
        self._retries = False

    def start(self) -> None:
        """Take the signals over, for the rest of the process."""
        self.phase = _Phase.STARTING
        self._install()
        atexit.register(self._ignore)  # as the first: it is called last, when Python has no handlers any more

    def begin(self) -> None:
        """Let a signal raise; within a process that is not this program's, until `end`."""
        if self.phase is not _Phase.STARTING:
            self._previous = {number: signal.getsignal(number) for number in (*SIGNALS, signal.SIGALRM)}
        self.phase = _Phase.WORKING
        self._install()

    def end(self) -> None:
        """Let no signal raise any more: what was to be done has been done, or a signal has come."""
        if self.phase is _Phase.WORKING:
            self._ending()
        if self._previous is not None:
            for number, handler in self._previous.items():
                signal.signal(number, handler)
            self._previous, self.phase = None, _Phase.OUTSIDE

    def will_exit(self, code: int) -> None:
        """Take note of the exit code, with which a further signal ends a program that does not end."""
        self._code = code

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Do what a signal does in this phase.

        Raises:
            Interrupted: for SIGINT, in a command.
            Terminated: for SIGTERM, in a command.
        """
        if self.phase is _Phase.STARTING:
            _end_at_once(number)
        if self.phase is _Phase.ENDING:
            if time.monotonic() - self._ending_since > GRACE_SECONDS:
                os._exit(self._code)
            return
        if _is_importing(frame):
            waited = self._waited()
            if not _is_users(frame) and waited > IMPORT_SECONDS and self._previous is None:
                _end_at_once(number)
            if not _is_users(frame) or waited <= GRACE_SECONDS:
                self._retry(number)
                return
        self._code = INTERRUPTED if number == signal.SIGINT else TERMINATED
        self._ending()
        raise Interrupted if number == signal.SIGINT else Terminated

    def _waited(self) -> float:
        """Return how long an import has been waited for."""
        if self._waiting_since is None:
            self._waiting_since = time.monotonic()
        return time.monotonic() - self._waiting_since

    def _ending(self) -> None:
        self._retry_no_more()
        self._waiting_since = None
        self.phase, self._ending_since = _Phase.ENDING, time.monotonic()

    def _install(self) -> None:
        for number in SIGNALS:  # also where a shell has started a background job with SIGINT ignored
            signal.signal(number, self.handle)
        sys.unraisablehook = self._raise_again
        threading.excepthook = lambda ended: _say_ignored(ended.exc_value or ended.exc_type())

    def _retry(self, number: int) -> None:
        signal.signal(signal.SIGALRM, lambda _, frame: self.handle(number, frame))
        signal.setitimer(signal.ITIMER_REAL, RETRY_SECONDS)
        self._retries = True

    def _retry_no_more(self) -> None:
        """Stop the clock: an alarm when Python has no handlers any more would end the process by itself."""
        if self._retries:
            signal.setitimer(signal.ITIMER_REAL, 0)
        self._retries = False

    def _raise_again(self, ignored: sys.UnraisableHookArgs) -> None:
        """Raise a moment later what was raised where Python ignores it, as in a destructor."""
        if self.phase is _Phase.ENDING and issubclass(ignored.exc_type, KeyboardInterrupt | Terminated):
            self.phase = _Phase.WORKING
            self._retry(signal.SIGTERM if issubclass(ignored.exc_type, Terminated) else signal.SIGINT)
        else:
            _say_ignored(ignored.exc_value or ignored.exc_type())

    def _ignore(self) -> None:
        self._retry_no_more()
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _is_users(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.endswith(USERS_IMPORTS):
            return True
        frame = frame.f_back
    return False


def _say_ignored(error: BaseException) -> None:
    """Say in one line what code of others raised where nobody can catch it: in a destructor, a thread, at the end."""
    with contextlib.suppress(Exception):
        from landscape_cli.errors import one_line

        if not isinstance(error, SystemExit):
            print(f"landscape: warning: ignored: {type(error).__name__}: {one_line(error)}", file=sys.stderr)


def _end_at_once(number: int) -> NoReturn:
    interrupted = number == signal.SIGINT
    # of several processes the first says it
    if os.environ.get("RANK" if "WORLD_SIZE" in os.environ else "SLURM_PROCID", "0") == "0":
        with contextlib.suppress(OSError):
            os.write(2, b"landscape: error: interrupted\n" if interrupted else b"landscape: error: terminated\n")
    os._exit(INTERRUPTED if interrupted else TERMINATED)


SIGNALS_OF_THIS_PROCESS = _Signals()
