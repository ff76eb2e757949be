#!/usr/bin/env bash
# The pictures of README.md, drawn anew from what `bash examples/quickstart.sh RESULTS_DIR` has measured.
#   bash examples/pictures.sh [RESULTS_DIR [FOLDER]]        (default: quickstart-results docs)
set -euo pipefail
cd "$(dirname "$0")/.."
results=${1:-quickstart-results}
pictures=${2:-docs}

draw() { landscape plot "${@:2}" -o "$pictures/quickstart-$1.png" --dpi 80 --force -q; }
pair=$results/paths/rsgd-1_sgd-1
draw paths "$pair"_{linear,aligned,geodesic}.json --labels linear,aligned,geodesic --width 9
draw flatness "$results/flatness.json" --width 9
draw plane "$results/plane.json" --labels rsgd,adv,adv-aligned --width 9
python examples/shrink.py "$pictures"/quickstart-*.png
