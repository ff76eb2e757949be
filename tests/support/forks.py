"""`landscape` as a shell runs it, forked from a process that has imported torch, which takes longest in a new one.

The process is started once (`serving`). What a shell calls in place of `landscape` is this file, which needs
milliseconds: it hands its streams over as they are, waits, and ends as the program does.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LENGTH = 8
"""Bytes of a request that say how long it is."""


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Start the process; yield what a shell calls in place of `landscape`."""
    path = str(folder / "socket")
    command = [sys.executable, "-m", "tests.support.forks", "serve", path]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"ready\n"
        yield shlex.join([sys.executable, "-IS", __file__, path])
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def call(path: str, arguments: list[str]) -> int:
    """Let the program run with the streams of this process; return its exit code."""
    streams = []
    for number in range(3):
        try:
            os.fstat(number)
            streams.append(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # or the socket would be a standard stream
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(path)
        request = {"arguments": arguments, "folder": os.getcwd(), "environment": dict(os.environ), "streams": streams}
        content = json.dumps(request).encode()
        socket.send_fds(server, [len(content).to_bytes(LENGTH, "big")], streams or [server.fileno()])
        server.sendall(content)
        return int(server.recv(16))


def serve(path: str) -> None:
    """Fork a program for each that calls, one after another."""
    import torch

    import landscape_cli.measures.path  # noqa: F401 - and with it most of ours
    from landscape_cli.cli import start
    from landscape_cli.cli.app import COMMANDS, build_command

    for command in COMMANDS:
        build_command(command)
    torch.set_num_threads(1)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen()
    gc.freeze()  # what children never collect stays shared with them
    print("ready", flush=True)
    while True:
        caller, _ = listening.accept()
        length, handles, _, _ = socket.recv_fds(caller, LENGTH, 3)
        request = json.loads(caller.recv(int.from_bytes(length, "big"), socket.MSG_WAITALL))
        child = os.fork()
        if not child:
            caller.close()
            listening.close()
            break
        for handle in handles:
            os.close(handle)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        caller.sendall(str(code if code >= 0 else 128 - code).encode())
        caller.close()
    _become(request, handles)
    start.SIGNALS_OF_THIS_PROCESS.start()
    code: object = 1
    try:
        start.main()
    except SystemExit as end:
        code = end.code
    finally:
        _end(code if isinstance(code, int) else 0)


def _become(request: dict[str, Any], handles: list[int]) -> None:
    """Make of this process what Python makes of a new one."""
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = ["landscape", *request["arguments"]]
    for number in range(3):
        os.close(number)
    for number, handle in zip(request["streams"], handles, strict=False):
        os.dup2(handle, number)
    for handle in handles:
        os.close(handle)
    encoding, _, errors = request["environment"].get("PYTHONIOENCODING", "").partition(":")
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        how = "backslashreplace" if name == "stderr" else errors or "strict"
        is_open = number in request["streams"]
        options = {"encoding": encoding or "utf-8", "errors": how, "closefd": False}
        setattr(sys, name, open(number, mode, **options) if is_open else None)  # noqa: SIM115


def _end(code: int) -> None:
    """End as Python does, but for what it takes to clear all of torch away."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError as error:
            code = 120
            os.write(2, f"Exception ignored in {stream}: {error}\n".encode())
    os._exit(code)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    else:
        sys.exit(call(sys.argv[1], sys.argv[2:]))
