"""Training that survives: its state in a file beside the output, saved every so often and when a signal comes."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from landscape_cli.cli.console import say
from landscape_cli.errors import CheckpointError, TrainingError, shown
from landscape_cli.io.atomic import remove_leftovers, write_atomic
from landscape_cli.io.regular import check_regular
from landscape_cli.io.safetensors import pack, read_tensors

if TYPE_CHECKING:
    from torch import Tensor

    from landscape_cli.samplers import TrainingState
    from landscape_cli.samplers.division import Division
    from landscape_cli.samplers.training import Pause

FORMAT = "landscape/training/1"
REMEDY = "remove it to begin anew"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class TrainingCheckpointer:
    """Keeps the state of one training in one file."""

    def __init__(
        self, path: Path, identity: Mapping[str, Any], *, every: int | None, resume: bool, quiet: bool
    ) -> None:
        """Remember where and how often.

        Args:
            path: the file.
            identity: what makes this training this one, as JSON values: a state of another is refused.
            every: epochs between two savings; None not to save on the way.
            resume: whether this training goes on from such a file: then signals save, whatever `every` is.
            quiet: whether to leave out remarks.

        Raises:
            CheckpointError: if there is something else than a file.
        """
        try:
            check_regular(path)
        except OSError as cause:
            raise CheckpointError(f"cannot use {path}: {cause.strerror}") from cause
        self._guards, self._resumes = every is not None or resume, resume
        self.path, self.identity, self.every, self.quiet = path, dict(identity), every, quiet
        self._epochs = -1  # what is saved first is the beginning
        self._stop: int | None = None
        self._state: Callable[[], TrainingState] | None = None
        self._saved = False
        self._previous: dict[int, Any] = {}
        self._warned = False
        self.ready: Callable[[], bool] = lambda: True
        """Whether all is written that a state may not come to stand after."""

    def read(self) -> TrainingState | None:
        """Return the state to go on from; None if there is none.

        Raises:
            CheckpointError: if the file cannot be read.
            TrainingError: if it is of another training: the message names what differs.
        """
        from landscape_cli.samplers import TrainingState

        if not self.path.exists():
            say(f"there is no {self.path} to resume from: beginning", quiet=self.quiet)
            return None
        try:
            tensors, metadata, _ = read_tensors(self.path, FORMAT, REMEDY, check=self._check_identity)
        except CheckpointError as error:
            raise CheckpointError(f"{str(error).removesuffix(f': {REMEDY}')}: {REMEDY}") from error
        with self._saying_malformed():
            facts = json.loads(metadata["facts"])
            if metadata["sha256"] != _digest(tensors, metadata["identity"], metadata["facts"]):
                raise CheckpointError(f"{self.path} is damaged (its content has changed): {REMEDY}")
        self._epochs = 0
        return TrainingState(tensors, facts)

    def _check_identity(self, metadata: Mapping[str, str]) -> None:
        """Check that a state is this training's.

        Raises:
            CheckpointError: if it does not say whose it is.
            TrainingError: if it is another's: the message names what differs.
        """
        with self._saying_malformed():
            identity = json.loads(metadata["identity"])
            differing = sorted(
                key for key in {*identity, *self.identity} if identity.get(key) != self.identity.get(key)
            )
        if differing:
            key = differing[0]
            was, now = (
                "not given" if where.get(key) is None else shown(str(where[key])) for where in (identity, self.identity)
            )
            raise TrainingError(
                f"{self.path} is of a training with other settings ({shown(key)} was {was}, and is {now}): "
                f"repeat the command as it was, or {REMEDY}"
            )

    @contextmanager
    def _saying_malformed(self) -> Iterator[None]:
        try:
            yield
        except (KeyError, ValueError, AttributeError, TypeError, RecursionError, OverflowError) as cause:
            raise CheckpointError(f"{self.path} is malformed ({shown(repr(cause))}): {REMEDY}") from cause

    def write(self, state: TrainingState) -> None:
        """Save a state, in place of the one before.

        Raises:
            CheckpointError: if the disk refuses; what was saved before is still there.
        """
        metadata = {
            "format": FORMAT,
            "identity": json.dumps(self.identity, sort_keys=True),
            "facts": json.dumps(state.facts, sort_keys=True),
        }
        metadata["sha256"] = _digest(state.tensors, metadata["identity"], metadata["facts"])
        write_atomic(self.path, pack(dict(state.tensors), metadata), force=True, error=CheckpointError)

    def remove(self) -> None:
        """Remove the file, if there is one, and what a killed process may have left of one."""
        remove_leftovers(self.path)
        self.path.unlink(missing_ok=True)

    def pause(self, epoch_ended: bool, state: Callable[[], TrainingState]) -> None:
        """Save if it is time; save and stop if a signal has come.

        Raises:
            KeyboardInterrupt: after SIGINT, once the state is saved.
            Terminated: after SIGTERM, once the state is saved.
        """
        self._epochs += epoch_ended
        self._state, self._saved = state, False
        if self._stop is not None:
            self._save_and_stop()
        elif epoch_ended and self._is_due() and self.ready():
            self._try_to_save()

    def pause_of(self, division: Division | None, *, follows: bool) -> Pause:
        """Return what training calls after each step: `pause`, which the first of several processes does for all.

        Args:
            division: the processes that train together, if there are several.
            follows: whether this is not the first of them.
        """
        if follows:
            return lambda epoch_ended, state: None

        def pause(epoch_ended: bool, state: Callable[[], TrainingState]) -> None:
            if division is not None and division.stops and self._guards and not self.is_asked():
                self._note(signal.SIGTERM, None)
            self.pause(epoch_ended, state)

        return pause

    def is_asked(self) -> bool:
        """Tell whether a signal has come that waits for the end of a step."""
        return self._stop is not None

    def save_end(self) -> None:
        """Save where training ended, so that no more than what follows it can be lost; if the disk refuses, say so."""
        if self.every is not None and not self._saved and self.ready():
            self._try_to_save()

    def keep_end(self) -> str:
        """Save where training ended, whether or not that was asked for, and return where that is.

        What is saved already stays where networks on the way are not written: they can be had from there alone.
        """
        again = "once the way is free, repeat the command with --resume"
        is_ready = self.ready()
        if self.path.exists() and not is_ready:
            return f"the state of training is safe in {self.path}: {again}"
        try:
            if not self._saved and self._state is not None:
                self.write(self._state())
                self._saved = True
        except CheckpointError as error:
            return f"nor can the state of training be saved: {error}"
        if not is_ready:
            return (
                f"the trained networks are safe in {self.path}, but for those on the way: {again}, not asking for them"
            )
        return f"the trained networks are safe in {self.path}: {again}"

    @contextmanager
    def keeping_end(self) -> Iterator[None]:
        """Save where training ended if what follows it does not come to its end, whatever stops it."""
        try:
            yield
        except BaseException:
            self.keep_end()
            raise

    def _is_due(self) -> bool:
        """Tell whether to save after this epoch: also the beginning where training may be resumed, for its log."""
        if self.every is None:
            return self._resumes and self._epochs == 0 and not self.path.exists()
        return self._epochs % self.every == 0

    def _try_to_save(self) -> None:
        """Save; where the disk refuses, say so once, and let training go on."""
        try:
            if self._state is not None:
                self.write(self._state())
                self._saved = True
        except CheckpointError as error:
            if not self._warned:
                say(f"warning: the state of training cannot be saved now ({error}): training goes on")
            self._warned = True

    @contextmanager
    def on_guard(self) -> Iterator[None]:
        """Let the first signal wait for the end of a step; a second one stops at once."""
        if not self._guards:
            yield
            return
        ignored = [signal.SIGHUP] * (signal.getsignal(signal.SIGHUP) is signal.SIG_IGN)  # as under nohup
        self._previous = {number: signal.signal(number, self._note) for number in SIGNALS if number not in ignored}
        try:
            yield
        finally:
            for number, handler in self._previous.items():
                signal.signal(number, handler)
        if self._stop is not None:  # it came after the last step
            self._save_and_stop()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._stop = number
        for each, handler in self._previous.items():
            signal.signal(each, handler)

    def _save_and_stop(self) -> NoReturn:
        assert self._stop is not None
        if self._state is not None:
            if self.ready() or not self.path.exists():
                self.write(self._state())
            say(f"the state of training is in {self.path}: add --resume to go on", quiet=self.quiet)
        handler = self._previous[self._stop]
        if callable(handler):
            handler(self._stop, None)
        os.kill(os.getpid(), self._stop)  # with the system's own handler, which ends the process
        raise KeyboardInterrupt


def _digest(tensors: Mapping[str, Tensor], *texts: str) -> str:
    """Return what tells a state from one in which a bit has changed."""
    import torch

    digest = hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass"))
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\0{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode("utf-8", "surrogatepass"))
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().data if flat.numel() else b"")
    return digest.hexdigest()
