#!/usr/bin/env bash
# Install what the tests need, then run the linters, the type checker and the tests.
# Uses the active virtual environment, or makes .venv. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
source examples/chain.sh
use_environment
echo "Installing the package and its tests' tools ..."
python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,plot]'
ruff check .
ruff format --check --quiet .
mypy
# Small networks do not gain from threads, and lose when tests run side by side with other work.
OMP_NUM_THREADS=1 python -m pytest "$@"
