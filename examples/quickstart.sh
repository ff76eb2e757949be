#!/usr/bin/env bash
# The paper's chain of measurements in under three minutes on two cores, on generated data: nothing to download.
#   bash examples/quickstart.sh [RESULTS_DIR]        (default: quickstart-results)
# Trains two networks per sampler (SGD, RSGD, ADV) on the Hidden Manifold Model, normalises and aligns them, and
# measures flatness, distances, barriers along three kinds of path, and one plane.
set -euo pipefail
results=$(realpath -m "${1:-$(dirname "$0")/../quickstart-results}")
cd "$(dirname "$0")/.."
source examples/chain.sh
summary=$PWD/examples/summary.py
use_landscape
new_folder "$results"
cd "$results"
mkdir raw aligned normal-aligned paths
SECONDS=0

# A seed is an initialisation: networks to be compared need one each, whatever trains them.
step "training two networks per sampler"
common="--model mlp --hidden 64,64,64 --data hmm --hmm-latent 51 --hmm-dim 201 --hmm-patterns 600 --epochs 200"
run <<EOF
train --algo rsgd $common --lr 0.05 --seed 1 -o raw/rsgd-1.st --log raw/rsgd-1.csv >raw/rsgd-1.json
train --algo rsgd $common --lr 0.05 --seed 2 -o raw/rsgd-2.st --log raw/rsgd-2.csv >raw/rsgd-2.json
train --algo adv $common --lr 0.05 --seed 5 -o raw/adv-1.st --log raw/adv-1.csv >raw/adv-1.json
train --algo adv $common --lr 0.05 --seed 6 -o raw/adv-2.st --log raw/adv-2.csv >raw/adv-2.json
train --algo sgd $common --seed 3 -o raw/sgd-1.st --log raw/sgd-1.csv >raw/sgd-1.json
train --algo sgd $common --seed 4 -o raw/sgd-2.st --log raw/sgd-2.csv >raw/sgd-2.json
EOF
networks=(rsgd-1 rsgd-2 sgd-1 sgd-2 adv-1 adv-2)

step "normalising and aligning"
remove_symmetries "${networks[@]}"

step "flatness, distances, one plane"
{
  echo "flatness $(files raw/ .st "${networks[@]}") --sigma 0.2,0.4,0.6,0.8,1.0 -o flatness.json --plot flatness.png"
  measure_distances rsgd-1 rsgd-2 sgd-1 sgd-2 adv-1 adv-2
  measure_distances sgd-1 sgd-2 adv-1 adv-2
  measure_distances adv-1 adv-2
  echo "plane raw/rsgd-1.st raw/adv-1.st aligned/rsgd-1/adv-1_aligned.st -o plane.json --plot plane.png"
} | run

step "barriers along linear, aligned and geodesic paths"
for pair in "rsgd-1 rsgd-2" "rsgd-1 sgd-1" "sgd-1 sgd-2" "rsgd-1 adv-1" "sgd-1 adv-1" "adv-1 adv-2"; do
  # shellcheck disable=SC2086
  measure_paths 21 $pair
done | run

step "done"
python "$summary" . | tee summary.md
echo
echo "Checkpoints, results, pictures and this summary are in $results"
