"""Several processes that know of each other, as torchrun starts them."""

from __future__ import annotations

import socket
import subprocess
import sys


def environment(rank: int, size: int, port: int) -> dict[str, str]:
    """Return what torchrun tells a process; the first one of these keeps how to find it."""
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size)} | where


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def start(arguments: list[str], variables: dict[str, str]) -> subprocess.Popen[str]:
    """Start the program as a process of its own."""
    import os

    command = [sys.executable, "-m", "landscape_cli", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env={**os.environ, **variables}, text=True, stdout=pipe, stderr=pipe)
