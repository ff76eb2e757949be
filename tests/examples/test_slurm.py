"""The job scripts for Slurm, with an `srun` and a `landscape` that only say how they were called."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent.parent.parent / "examples" / "slurm"
COMMAND = ["plane", "a b.st", "c.st", "--loss"]
SRUN = """#!/usr/bin/env bash
[ "$1 $2" = "--kill-on-bad-exit=1 --cpus-per-task=3" ] || exit 9
shift 2
for rank in 0 1; do SLURM_PROCID=$rank "$@" || exit; done
"""
LANDSCAPE = """#!/usr/bin/env bash
printf '%s|' "${SLURM_PROCID:-}" "$OMP_NUM_THREADS" "$@"
echo
"""


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("ranks.sbatch", ["0|3|plane|a b.st|c.st|--loss|", "1|3|plane|a b.st|c.st|--loss|"]),
        ("parts.sbatch", ["|3|plane|a b.st|c.st|--loss|--part|2/8|-o|part-2.json|--resume|"]),
    ],
)
def test_scripts_pass_the_command_on(tmp_path: Path, script: str, expected: list[str]) -> None:
    for name, content in (("srun", SRUN), ("landscape", LANDSCAPE), ("environment", 'export CALLED="$SOURCED"')):
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o755)
    said = {"SLURM_CPUS_PER_TASK": "3", "SLURM_ARRAY_TASK_ID": "2", "SLURM_ARRAY_TASK_MAX": "8", "SOURCED": "yes"}
    environment = os.environ | said | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "ENVIRONMENT": "./environment"}
    command = ["bash", str(SCRIPTS / script), *COMMAND]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == expected
    assert not done.stderr
    failing = environment | {"SOURCED": ""}
    (tmp_path / "environment").write_text('[ -n "$SOURCED" ]')
    assert subprocess.run(command, cwd=tmp_path, env=failing, check=False).returncode == 1  # not as if all were well
