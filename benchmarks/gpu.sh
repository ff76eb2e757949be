#!/usr/bin/env bash
# What is computed on a GPU, compared with the CPU (the tests marked gpu), and the time that it takes, as a table.
# At most ten minutes, without installing anything: bash benchmarks/gpu.sh [--data-dir DIR]
# To try it without a GPU: bash benchmarks/gpu.sh --device cpu --small
set -euo pipefail
cd "$(dirname "$0")/.."
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} CUBLAS_WORKSPACE_CONFIG=:4096:8
failed=0
case " $* " in
*" --small "*) ;;
*) python3 -m pytest -m gpu -n 6 -p no:cacheprovider -p no:benchmark tests/{test_gpu.py,evaluation,binary} || failed=$? ;;
esac
python3 benchmarks/gpu.py "$@"
exit "$failed"
