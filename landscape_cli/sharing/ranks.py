"""Processes that a launcher has started together: what each has measured comes to the first of them, as JSON.

Every one is connected to the first by TCP as long as the command takes. Who is killed is missed at once, since the
system closes connections; a machine that is gone, within two minutes; and none is given up for being slow. Collectives
would wait for the dead.
"""

from __future__ import annotations

import hmac
import json
import secrets
import socket
import struct
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar, cast

from landscape_cli.errors import Remark, one_line
from landscape_cli.io.records import parse_json
from landscape_cli.sharing.launch import Launch, RankError

if TYPE_CHECKING:
    import torch
    from torch.distributed import TCPStore  # type: ignore[attr-defined] # made in C++

    from landscape_cli.sharing.tensors import SharedTensors

T = TypeVar("T")

REMARK_SECONDS, JOIN_SECONDS = 20.0, 600.0
"""So long processes wait for each other as they begin, until they say so, and until they give up."""
BLOCKED_SECONDS, RETRY_SECONDS = 20.0, 0.1
"""So long what keeps how to find the first may take to answer; and between two attempts."""
GRACE_SECONDS = 3.0
"""So long the first process may take to find by itself what another has found wrong, and a message to arrive."""
HEAD = struct.Struct(">cQ")
HELLO = struct.Struct(">32sI")
VALUES, GO, DONE, FAILED = b"v", b"g", b"d", b"f"
KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 6}
"""Of a connection over which nothing goes: after how many seconds the other machine is asked, how often, how many
times."""


class Ranks:
    """The processes that this one belongs to.

    Attributes:
        launch: which of them this is.
    """

    def __init__(self, launch: Launch, *, lost: Callable[[int, int | None, str], None]) -> None:
        """Join the others, and watch over them from here on.

        Args:
            launch: which of them this is.
            lost: called in a thread, when one has ended too early, with its rank, its exit code (None where it was
                killed) and what it had to say.

        Raises:
            RankError: if they do not all come, or cannot be reached.
        """
        self.launch, self._lost = launch, lost
        self._closed = threading.Event()
        try:
            self._store, connections = _join(launch)
        except (RuntimeError, ValueError, OSError) as cause:
            raise RankError(
                f"process {launch.rank + 1} of {launch.size} cannot join the others by {launch.host}:{launch.port} "
                f"({one_line(cause)}): start all of them together, with torchrun or srun, at a MASTER_PORT that "
                "nothing else uses"
            ) from cause
        self._connections = connections
        self._heard: dict[int, SimpleQueue[tuple[bytes, bytes]]] = {other: SimpleQueue() for other in connections}
        self._threads = [threading.Thread(target=self._listen, args=(other,), daemon=True) for other in connections]
        for thread in self._threads:
            thread.start()

    def gather(self, value: Any) -> list[Any] | None:
        """Return what every process gives, by rank, to the first of them; to another, nothing.

        Args:
            value: JSON values.

        Raises:
            RankError: if a process ends before.
        """
        if self.launch.rank:
            self._say(0, VALUES, json.dumps(value, allow_nan=False).encode())
            return None
        return [value, *(parse_json(self._hear(other, VALUES)[1]) for other in range(1, self.launch.size))]

    def go(self) -> bool:
        """Let all go on once the first of them does; return whether it does, and has not ended, with all in place.

        Raises:
            RankError: if a process ends before.
        """
        if self.launch.rank:
            return self._hear(0, GO, DONE)[0] == GO
        for other in self._connections:
            self._say(other, GO)
        return True

    def tensors(self, device: torch.device) -> SharedTensors:
        """Return what the processes exchange tensors by, once all have called this.

        Raises:
            RankError: if they cannot be connected.
        """
        from landscape_cli.sharing.tensors import SharedTensors

        return SharedTensors(self.launch, self._store, device)

    def wait(self) -> None:
        """Wait until the first process has put everything in its place.

        Raises:
            RankError: if it ends before.
        """
        if not self._closed.is_set():
            self._hear(0, DONE)

    def finish(self) -> None:
        """End well: the first process says so, the others wait for that.

        Raises:
            RankError: if the first ends otherwise.
        """
        if self.launch.rank:
            self.wait()
        else:
            self._end(DONE)

    def fail(self, code: int, said: str) -> None:
        """Tell the others that this process ends with an error: its exit code, and what it says."""
        self._end(FAILED, json.dumps([code, said]).encode())

    def _end(self, kind: bytes, content: bytes = b"") -> None:
        """Say a last thing to all that are there, and see that it arrives."""
        if self._closed.is_set():
            return
        self._closed.set()
        for other, connection in self._connections.items():
            with suppress(RankError, OSError):
                self._say(other, kind, content)
                connection.shutdown(socket.SHUT_WR)
        until = time.monotonic() + 2 * GRACE_SECONDS
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(until - time.monotonic(), 0))

    def _say(self, other: int, kind: bytes, content: bytes = b"") -> None:
        try:
            self._connections[other].sendall(HEAD.pack(kind, len(content)) + content)
        except OSError as cause:
            raise self._missed(other) from cause

    def _hear(self, other: int, *kinds: bytes) -> tuple[bytes, bytes]:
        """Return what a process says next, of these kinds."""
        kind, content = self._heard[other].get()
        if kind not in kinds:
            raise self._missed(int(content))
        if kind == DONE:
            self._closed.set()
        return kind, content

    def _missed(self, other: int) -> RankError:
        return RankError(f"process {other + 1} of {self.launch.size} has ended before all was done")

    def _listen(self, other: int) -> None:
        """Take what a process says, until it ends; see how it does."""
        connection, heard = self._connections[other], self._heard[other]
        code, said = None, ""
        try:
            while True:
                kind, length = HEAD.unpack(_read(connection, HEAD.size))
                content = _read(connection, length)
                if kind == FAILED:
                    code, said = parse_json(content)
                    self._closed.wait(0 if self.launch.rank else GRACE_SECONDS)
                    break
                heard.put((kind, content))
                if kind == DONE:
                    return
        except OSError:
            pass
        finally:
            connection.close()
        if not self._closed.is_set():
            self._lost(other, code, said)
            for each in self._heard.values():  # whatever is waited for, it does not come
                each.put((FAILED, str(other).encode()))


def _join(launch: Launch) -> tuple[TCPStore, dict[int, socket.socket]]:
    """Return the connections to other processes, by rank, and what holds how to find the first, as long as it is held.

    The first one waits for the others where none but they know: at a port of its own, with a word that they all say.
    """
    from torch.distributed import TCPStore  # type: ignore[attr-defined] # made in C++

    until = time.monotonic() + JOIN_SECONDS
    key = f"landscape/{launch.attempt}"
    if launch.rank:
        store, address = _find_first(launch, key, until)
        port, word = address.split()
        connection = socket.create_connection((launch.host, int(port)), timeout=JOIN_SECONDS)
        connection.sendall(HELLO.pack(word.encode(), launch.rank))
        return store, {0: _lasting(connection)}
    patience = timedelta(seconds=JOIN_SECONDS)
    store = TCPStore(launch.host, launch.port, is_master=not launch.hosted, timeout=patience, wait_for_workers=False)
    word = secrets.token_hex(16)
    with _server(launch.host) as server:
        store.set(key, f"{server.getsockname()[1]} {word}")
        return store, _accept(server, launch.size, word.encode())


def _find_first(launch: Launch, key: str, until: float) -> tuple[TCPStore, str]:
    """Return what holds how to find the first process, once it is there, and what it says under a key.

    What waits in PyTorch no signal ends, and it may wait for ever: it does so in threads.
    """
    from torch.distributed import TCPStore  # type: ignore[attr-defined] # made in C++

    brief, remark = timedelta(seconds=BLOCKED_SECONDS), time.monotonic() + REMARK_SECONDS
    store: TCPStore | None = None
    while True:
        try:
            if store is None:
                socket.create_connection((launch.host, launch.port), timeout=BLOCKED_SECONDS).close()
                store = _in_time(partial(TCPStore, launch.host, launch.port, is_master=False, timeout=brief))
            if _in_time(partial(store.check, [key])):
                store.set_timeout(timedelta(seconds=JOIN_SECONDS))
                return store, store.get(key).decode()
            problem: Exception = TimeoutError("the first process did not come")
        except (RuntimeError, OSError) as cause:
            store, problem = None, cause
        if time.monotonic() > until:
            raise problem
        if time.monotonic() > remark:
            which = f"process {launch.rank + 1} of {launch.size}"
            warnings.warn(f"{which} waits for the first at {launch.host}:{launch.port}", Remark, stacklevel=2)
            remark = until
        time.sleep(RETRY_SECONDS)


def _in_time(work: Callable[[], T]) -> T:
    """Return what something comes to that PyTorch does, unless that takes too long.

    Raises:
        TimeoutError: if it does; its thread is left behind.
    """
    done: SimpleQueue[tuple[T, None] | tuple[None, Exception]] = SimpleQueue()

    def run() -> None:
        try:
            done.put((work(), None))
        except Exception as cause:  # whatever it is, it is raised where it is waited for
            done.put((None, cause))

    threading.Thread(target=run, daemon=True).start()
    try:
        result, problem = done.get(timeout=BLOCKED_SECONDS)
    except Empty:
        raise TimeoutError("what listens there does not answer") from None
    if problem is not None:
        raise problem
    return cast("T", result)


def _server(host: str) -> socket.socket:
    """Return a socket that waits: on this machine alone, if all processes are there."""
    if host in {"localhost", "127.0.0.1"}:
        return socket.create_server(("127.0.0.1", 0), backlog=128)
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    return socket.create_server(("", 0), family=family, backlog=128, dualstack_ipv6=both)


def _accept(server: socket.socket, size: int, word: bytes) -> dict[int, socket.socket]:
    """Return connections from all other processes, by rank; who does not know the word is none of them."""
    connections: dict[int, socket.socket] = {}
    until = time.monotonic() + JOIN_SECONDS
    server.settimeout(REMARK_SECONDS)
    while len(connections) < size - 1:
        missing = f"{size - 1 - len(connections)} of {size} processes"
        try:
            connection, _ = server.accept()
        except TimeoutError:
            if time.monotonic() > until:
                raise TimeoutError(f"{missing} did not come") from None
            if server.gettimeout() == REMARK_SECONDS:
                warnings.warn(f"waiting for {missing}", Remark, stacklevel=2)
            server.settimeout(max(until - time.monotonic(), 1))
            continue
        connection.settimeout(GRACE_SECONDS)
        try:
            said, rank = HELLO.unpack(_read(connection, HELLO.size))
        except OSError:
            said, rank = b"", 0
        if hmac.compare_digest(said, word) and 0 < rank < size and rank not in connections:
            connections[rank] = _lasting(connection)
        else:
            connection.close()
    return dict(sorted(connections.items()))


def _lasting(connection: socket.socket) -> socket.socket:
    """Return a connection that is kept, however long nothing goes over it."""
    connection.settimeout(None)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE.items():
        if hasattr(socket, name):  # as systems have it
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return connection


def _read(connection: socket.socket, size: int) -> bytes:
    """Return so many bytes.

    Raises:
        OSError: if the other side ends before.
    """
    content = bytearray()
    while len(content) < size:
        some = connection.recv(min(size - len(content), 1 << 20))
        if not some:
            raise ConnectionError("the connection has ended")
        content += some
    return bytes(content)
