"""Which of several processes this is, as torchrun and srun say it."""

from __future__ import annotations

import pytest

from landscape_cli.sharing.launch import Launch, RankError, find_launch

TORCHRUN = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "MASTER_ADDR": "n1", "MASTER_PORT": "29501"}
SRUN = {"SLURM_PROCID": "3", "SLURM_NTASKS": "4", "SLURM_LOCALID": "1", "SLURM_STEP_ID": "2", "SLURM_JOB_ID": "1000"}


def test_torchrun() -> None:
    assert find_launch(TORCHRUN) == Launch(3, 4, 1, "n1", 29501)
    elastic = {"TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "2"}
    assert find_launch(TORCHRUN | SRUN | elastic) == Launch(3, 4, 1, "n1", 29501, hosted=True, attempt="2")


@pytest.mark.parametrize(
    ("nodes", "host"),
    [
        ("node03", "node03"),
        ("node[03-05,9]", "node03"),
        ("a-1,b[2-3]", "a-1"),
        ("gpu[1,3]-ib", "gpu1-ib"),
        ("", "127.0.0.1"),
    ],
)
def test_srun(nodes: str, host: str) -> None:
    port = 20000 + (31000 + 2) % 20000
    assert find_launch(SRUN | {"SLURM_STEP_NODELIST": nodes}) == Launch(3, 4, 1, host, port)
    named = {"SLURM_STEP_NODELIST": nodes, "MASTER_ADDR": "other", "MASTER_PORT": "5"}
    assert find_launch(SRUN | named) == Launch(3, 4, 1, "other", 5)


@pytest.mark.parametrize(
    "alone",
    [
        {},
        {"WORLD_SIZE": "8"},
        TORCHRUN | {"RANK": "0", "WORLD_SIZE": "1"},
        SRUN | {"SLURM_PTY_PORT": "1"},  # somebody's shell
        {name: value for name, value in SRUN.items() if name != "SLURM_STEP_ID"},  # a job's script
    ],
)
def test_one_alone(alone: dict[str, str]) -> None:
    assert find_launch(alone) is None


@pytest.mark.parametrize(
    "change", [{"RANK": "4"}, {"RANK": "-1"}, {"WORLD_SIZE": "many"}, {"MASTER_PORT": "70000"}, {"WORLD_SIZE": "0"}]
)
def test_nonsense_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(RankError, match=f"{next(iter(change))}={next(iter(change.values()))}.*torchrun or srun"):
        find_launch(TORCHRUN | change)
