#!/usr/bin/env bash
# Install what the tests need, then run the tests on all cores, and beside them the linters and the type checker.
# Uses the active virtual environment, or makes .venv. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
source examples/chain.sh
use_environment
echo "Installing the package and its tests' tools ..."
python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e '.[test,plot]'

check() { ruff check . && ruff format --check --quiet . && mypy; }
messages=$(mktemp)
trap 'rm -f "$messages"' EXIT
check >"$messages" 2>&1 &
checks=$!

# What every process would compile anew is compiled once, and of what is installed only what is imported.
unset PYTHONDONTWRITEBYTECODE
python -m compileall -q landscape_cli
python -c 'import matplotlib.pyplot, scipy.optimize, torch'

# Small networks do not gain from threads, and lose when tests run side by side. A test that takes long is no reason
# for a core to stand idle: who is done takes tests from the others.
failed=0
OMP_NUM_THREADS=1 python -m pytest --numprocesses auto --maxprocesses 8 --dist worksteal "$@" || failed=$?
if ! wait "$checks"; then
  cat "$messages"
  exit 1
fi
exit "$failed"
