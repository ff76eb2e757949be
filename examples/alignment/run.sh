#!/usr/bin/env bash
# Two networks of each kind, trained on 10 000 images of Fashion-MNIST, and the barriers between them: as trained, and
# with the second aligned to the first by each method; those with batch-norm with its statistics kept and recomputed.
#   bash examples/alignment/run.sh DATA_DIR [RUNS_DIR]      (default: examples/alignment/runs)
# DATA_DIR holds FashionMNIST/raw; with the variable DOWNLOAD=1 it is fetched. About 10 minutes on two idle cores.
# Writes checkpoints and results to RUNS_DIR; the numbers of one run are kept in examples/alignment/results.
set -euo pipefail
data=$(realpath -m "${1:?usage: bash examples/alignment/run.sh DATA_DIR [RUNS_DIR]}")
results=$(realpath -m "${2:-$(dirname "$0")/runs}")
cd "$(dirname "$0")/../.."
source examples/chain.sh
summary=$PWD/examples/alignment_summary.py
use_landscape
new_folder "$results"
cd "$results"
mkdir raw aligned normal-aligned paths
if [ -n "${DOWNLOAD:-}" ]; then fetch fashion-mnist "$data"; fi
ln -s "$data" data # so that results do not speak of one machine's folders
SECONDS=0

methods="cosine weight activation"
batch_norm="resnet"
networks="lenet $batch_norm"

step "training two networks of each kind"
train() { # NAME OPTIONS: lines for `run`
  for seed in 1 2; do
    echo "train --data fashion-mnist --data-dir data --train-size 10000 $2 --seed $seed" \
      "-o raw/$1-$seed.st --log raw/$1-$seed.csv >raw/$1-$seed.json"
  done
}
{
  train resnet "--model resnet20 --width 8 --blocks 1 --epochs 15 --lr 0.1"
  train lenet "--model lenet --epochs 15"
} | run

step "normalising and aligning"
for network in $networks; do
  echo "normalize raw/$network-1.st raw/$network-2.st --out-dir normal >normal-$network.json"
done | run
for network in $networks; do
  for method in $methods; do
    echo "align raw/$network-1.st raw/$network-2.st --method $method" \
      "-o aligned/$network-2_$method.st >aligned/$network-2_$method.json"
  done
  echo "align normal/$network-1.st normal/$network-2.st" \
    "-o normal-aligned/$network-2.st >normal-aligned/$network-2.json"
done | run

step "barriers"
barriers() { # NAME STATISTICS: lines for `run`
  local options="--points 11 --bn $2"
  echo "path raw/$1-1.st raw/$1-2.st $options -o paths/$1_raw_$2.json"
  for method in $methods; do
    echo "path raw/$1-1.st aligned/$1-2_$method.st $options -o paths/$1_${method}_$2.json"
  done
  echo "path normal/$1-1.st normal-aligned/$1-2.st $options --kind geodesic -o paths/$1_geodesic_$2.json"
}
{
  for network in $batch_norm; do barriers "$network" recompute; done
  for network in $networks; do barriers "$network" keep; done
} | run

step "done"
python "$summary" . | tee summary.md
