"""Which of several processes this is, that torchrun or srun has started together. Nothing here imports torch."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from landscape_cli.errors import LandscapeError, shown

FIRST_PORT, PORTS = 20000, 20000
"""Where the first process of a job of Slurm's waits, which names no port: at one of so many, by the job's number."""


class RankError(LandscapeError):
    """Another process has ended, or cannot be reached."""

    exit_code = 1


@dataclass(frozen=True)
class Launch:
    """Which of several processes this is.

    Attributes:
        rank: its number, from 0.
        size: how many there are.
        local: its number on its machine, which is that of its GPU.
        host: the machine of the first one.
        port: where that one, or the launcher, keeps what they have to know to find each other.
        hosted: whether it is the launcher.
        attempt: which attempt this is, of a launcher that repeats.
    """

    rank: int
    size: int
    local: int
    host: str
    port: int
    hosted: bool = False
    attempt: str = "0"


def find_launch(environment: Mapping[str, str] | None = None) -> Launch | None:
    """Return which of several processes this is, by the environment that torchrun or srun makes; None of one alone.

    Raises:
        RankError: if that environment makes no sense.
    """
    given = os.environ if environment is None else environment
    if "RANK" in given and "WORLD_SIZE" in given and "MASTER_ADDR" in given:
        names, host, port = ("RANK", "WORLD_SIZE", "LOCAL_RANK"), given["MASTER_ADDR"], 29500  # PyTorch's own
    elif _is_step(given):
        names, host = ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"), given.get("MASTER_ADDR", _first_host(given))
        job, step = (_number(given, name) for name in ("SLURM_JOB_ID", "SLURM_STEP_ID"))
        port = FIRST_PORT + (31 * job + step) % PORTS
    else:
        return None
    rank, size, local = (_number(given, name) for name in names)
    if size == 1:
        return None
    port = _number(given, "MASTER_PORT") or port
    if rank >= size or port > 65535:
        said = ", ".join(f"{name}={shown(given.get(name, ''))}" for name in (*names, "MASTER_PORT"))
        raise RankError(f"the environment names no process of several ({said}): start it with torchrun or srun")
    hosted = given.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    return Launch(rank, size, local, host, port, hosted, given.get("TORCHELASTIC_RESTART_COUNT", "0"))


def _is_step(given: Mapping[str, str]) -> bool:
    """Tell whether srun has started this process: not a job's script, nor somebody's shell."""
    names = {"SLURM_PROCID", "SLURM_NTASKS", "SLURM_STEP_ID"}
    return names <= given.keys() and "SLURM_PTY_PORT" not in given


def _number(given: Mapping[str, str], name: str) -> int:
    text = given.get(name) or "0"
    if not re.fullmatch("[0-9]{1,9}", text):
        raise RankError(f"the environment has {name}={shown(text)}, which is no number: start it with torchrun or srun")
    return int(text)


def _first_host(given: Mapping[str, str]) -> str:
    """Return the first machine of a step: of node[03-05,9] it is node03."""
    listed = given.get("SLURM_STEP_NODELIST") or given.get("SLURM_JOB_NODELIST") or "127.0.0.1"
    first = re.match(r"([^\[,]*)(?:\[([0-9]+)[^\]]*\])?([^\[,]*)", listed)
    return "".join(part or "" for part in first.groups()) if first else listed
