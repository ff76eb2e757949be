#!/usr/bin/env bash
# The largest part of the paper's setting that one GPU trains and measures in minutes: VGG16 with batch-norm on part of
# CIFAR-10, solutions of each sampler, and barriers, flatness and distances between all pairs of them (protocol.md).
#   python examples/study/subset.py cifar10 data 10000 2000 cifar10-part.safetensors    12 000 images are 37 MB
#   bash examples/toroids/gpu.sh cifar10-part.safetensors RESULTS                       one GPU, 200 seconds
#   bash examples/toroids/gpu.sh cifar10-part.safetensors RESULTS --small               a CPU: the same stages, tiny
# RESULTS gets a JSON file for each measurement, the logs of training, card.json (the card, versions, seconds of each
# stage), and results.tar.gz of all these; the networks stay in RESULTS/raw and RESULTS/normal. Every stage is cut off
# in time, and what is missing then is said. DEVICE, WIDTH, IMAGES, EPOCHS, SEEDS, MEASURED, POINTS and LIMIT (seconds in
# all) may be set. Needs python3 with landscape's dependencies; nothing is installed or fetched.
set -euo pipefail
if [ $# -lt 2 ]; then
  echo "usage: bash $0 DATA.safetensors RESULTS [--small]" >&2
  exit 2
fi
data=$(realpath "$1") results=$(realpath -m "$2")
if [ "${3:-}" = --small ]; then
  : "${DEVICE:=cpu}" "${WIDTH:=4}" "${IMAGES:=200}" "${EPOCHS:=2}" "${SEEDS:=1}" "${MEASURED:=60}" "${POINTS:=3}" "${LIMIT:=900}"
fi
: "${DEVICE:=cuda}" "${WIDTH:=64}" "${IMAGES:=10000}" "${EPOCHS:=20}" "${SEEDS:=2}" "${MEASURED:=3000}" "${POINTS:=9}" "${LIMIT:=200}"
PYTHONPATH=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export PYTHONPATH OMP_NUM_THREADS=2
precision=bf16
if [ "$DEVICE" = cpu ]; then precision=float32; fi
mkdir -p "$results/raw" "$results/normal"
cd "$results"
ln -sfn "$data" data.safetensors

# within SECONDS COMMAND...: cut off so long after the beginning; a failure is said, and the rest goes on
within() {
  local left=$(($1 - SECONDS))
  shift
  if ! timeout --kill-after=5 "$((left > 1 ? left : 1))" python3 -m landscape_cli "$@" --device "$DEVICE" --quiet; then
    echo "missing: landscape $*" >&2
  fi
}

# stage NAME: wait for what runs beside this, and note the time
stages=()
stage() {
  wait
  stages+=("\"$1\": $SECONDS")
  printf '%5d s  %s\n' "$SECONDS" "$1"
}

# One process a network, all at once: a step of one is bound by the launches of its kernels, which leave the card idle.
declare -A first_seed=([rsgd]=1 [sgd]=4 [adv]=7)
declare -A of=([sgd]="" [rsgd]="--replicas 3" [adv]="--adv-lr 0.05 --adv-epochs $((3 * EPOCHS))")
for sampler in rsgd adv sgd; do
  for ((seed = first_seed[$sampler]; seed < first_seed[$sampler] + SEEDS; seed++)); do
    # shellcheck disable=SC2086 # options are several words
    within $((LIMIT * 6 / 10)) train --algo $sampler ${of[$sampler]} --model vgg16 --width "$WIDTH" --data data.safetensors \
      --train-size "$IMAGES" --lr 0.05 --epochs "$EPOCHS" --precision $precision --seed "$seed" \
      -o "raw/$sampler-$seed.st" --log "raw-$sampler-$seed.csv" --format json --force >"train-$sampler-$seed.json" &
  done
done
stage training

within $((LIMIT * 7 / 10)) normalize raw/*.st --out-dir normal --format json --force >normalize.json
stage normalising

measured=(--data data.safetensors --samples "$MEASURED" --test-samples "$((MEASURED / 3))" --bn recompute)
families=("raw/rsgd-*.st" "raw/sgd-*.st" "raw/adv-*.st")
normal=("${families[@]/raw/normal}")
paths=(--pairs all --points "$POINTS")
within "$LIMIT" path "${families[@]}" "${paths[@]}" "${measured[@]}" -o linear.json --force &
within "$LIMIT" path "${families[@]}" "${paths[@]}" "${measured[@]}" --align cosine -o aligned.json --force &
within "$LIMIT" path "${normal[@]}" "${paths[@]}" "${measured[@]}" --align cosine --kind geodesic -o geodesic.json --force &
within "$LIMIT" distance "${normal[@]}" --pairs all --align cosine --no-functions -o distances.json --force &
within "$LIMIT" flatness raw/*.st --data data.safetensors --train-samples "$MEASURED" --bn recompute \
  --sigma 0.1,0.2,0.3,0.4,0.5 --samples 5 -o flatness.json --force &
stage measuring

card=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -1 || true)
versions=$(python3 -c "import torch; print(torch.__version__)")
printf '{"card": "%s", "torch": "%s", "width": %s, "images": %s, "epochs": %s, "measured": %s, "seconds": {%s}}\n' \
  "${card:-none}" "$versions" "$WIDTH" "$IMAGES" "$EPOCHS" "$MEASURED" "$(IFS=,; echo "${stages[*]}")" >card.json
tar -czf results.tar.gz ./*.json ./*.csv
stage "results in $results/results.tar.gz"
