#!/usr/bin/env bash
# LeNet on 10 000 images of Fashion-MNIST: two solutions per sampler, and the paper's measurements of them.
#   bash examples/fashion_mnist/run.sh DATA_DIR [RUNS_DIR]      (default: examples/fashion_mnist/runs)
# DATA_DIR holds FashionMNIST/raw; with the variable DOWNLOAD=1 it is fetched. About 40 minutes on two cores.
# Writes checkpoints and results to RUNS_DIR; the numbers of one run are kept in examples/fashion_mnist/results.
set -euo pipefail
data=$(realpath -m "${1:?usage: bash examples/fashion_mnist/run.sh DATA_DIR [RUNS_DIR]}")
results=$(realpath -m "${2:-$(dirname "$0")/runs}")
cd "$(dirname "$0")/../.."
source examples/chain.sh
summary=$PWD/examples/summary.py
use_landscape
new_folder "$results"
cd "$results"
mkdir raw aligned normal-aligned paths
if [ -n "${DOWNLOAD:-}" ]; then fetch fashion-mnist "$data"; fi
ln -s "$data" data # so that results do not speak of one machine's folders
SECONDS=0

# A seed is an initialisation: networks to be compared need one each, whatever trains them. Once merged, RSGD's three
# replicas average three mini-batches: at 2.5 times SGD's learning rate their noise is about that of SGD.
step "training two networks per sampler"
common="--model lenet --data fashion-mnist --data-dir data --train-size 10000 --epochs 60"
run <<EOF
train --algo rsgd $common --lr 0.05 --gamma-init 0.002 --seed 1 -o raw/rsgd-1.st --log raw/rsgd-1.csv >raw/rsgd-1.json
train --algo rsgd $common --lr 0.05 --gamma-init 0.002 --seed 2 -o raw/rsgd-2.st --log raw/rsgd-2.csv >raw/rsgd-2.json
train --algo adv $common --lr 0.05 --seed 5 -o raw/adv-1.st --log raw/adv-1.csv >raw/adv-1.json
train --algo adv $common --lr 0.05 --seed 6 -o raw/adv-2.st --log raw/adv-2.csv >raw/adv-2.json
train --algo sgd $common --seed 3 -o raw/sgd-1.st --log raw/sgd-1.csv >raw/sgd-1.json
train --algo sgd $common --seed 4 -o raw/sgd-2.st --log raw/sgd-2.csv >raw/sgd-2.json
EOF
networks=(rsgd-1 rsgd-2 sgd-1 sgd-2 adv-1 adv-2)

step "normalising and aligning"
remove_symmetries "${networks[@]}"

step "flatness and distances"
{
  echo "flatness $(files raw/ .st "${networks[@]}") --samples 10 -o flatness.json --plot flatness.png"
  measure_distances rsgd-1 rsgd-2 sgd-1 sgd-2 adv-1 adv-2
  measure_distances sgd-1 sgd-2 adv-1 adv-2
  measure_distances adv-1 adv-2
} | run

step "barriers along linear, aligned and geodesic paths"
for pair in "rsgd-1 rsgd-2" "rsgd-1 sgd-1" "rsgd-2 sgd-2" "sgd-1 sgd-2" "rsgd-1 adv-1" "rsgd-2 adv-2" \
  "sgd-1 adv-1" "sgd-2 adv-2" "adv-1 adv-2"; do
  # shellcheck disable=SC2086
  measure_paths 11 $pair
done | run

step "one plane"
plane="raw/rsgd-1.st raw/adv-1.st aligned/rsgd-1/adv-1_aligned.st"
landscape plane $plane --grid 9 -o plane.json --plot plane.png --quiet

step "done"
python "$summary" . | tee summary.md
