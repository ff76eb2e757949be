#!/usr/bin/env bash
# Stage 4: the experiments of protocol.md on what does not hold.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../study/stages.sh"
folders+=(experiments/networks more)
begin "$@"
source "$here/tuning.sh"

for study in "${studies[@]}"; do
  for sampler in "${samplers[@]}"; do
    line "$study" "experiments/networks/$sampler.json" \
      "python '$here/relabel.py' $(networks raw .st "$sampler")experiments/networks >experiments/networks/$sampler.json.part"
  done
done | carry_out "relabelling"

for study in "${studies[@]}"; do
  data=${size_of[${study#*/}]:+--data measured.safetensors}
  options="--points $points ${measuring[${study#*/}]:-} $data"
  for sampler in "${samplers[@]}"; do
    job "$study" "experiments/relabelled-$sampler.json" \
      "path $(family raw "$sampler")$(family experiments/networks "$sampler")--pairs zip $options"
  done
  job "$study" experiments/losses.json "path $(families normal)--pairs cross --align cosine --kind geodesic --loss $options"
  job "$study" experiments/normalised.json "path $(families normal) --pairs all --align cosine --both-ways $options"
  bends="--align cosine --kind geodesic --optimize-midpoint $bend ${bend_of[${study#*/}/geodesic]:-} --midpoints 1"
  bends+=" --points $bend_points ${measuring[${study#*/}]:-} $data" # of an option that comes twice the last counts
  for sampler in "${samplers[@]}"; do
    pairs=zip
    if [ "$sampler" = adv ]; then pairs=all; fi
    ends="$(family normal "$sampler")$(family normal adv)--pairs $pairs"
    job "$study" "experiments/both-pieces-$sampler-adv.json" "path $ends $bends --train-on connector"
    job "$study" "experiments/both-pieces-long-$sampler-adv.json" "path $ends $bends --train-on connector --epochs 60"
  done
  ends="$(family normal rsgd)$(family normal sgd)--pairs zip"
  for pair in rsgd-rsgd rsgd-sgd sgd-sgd; do
    first=${pair%-*} second=${pair#*-} pairs=zip
    if [ "$first" = "$second" ]; then pairs=all; fi
    job "$study" "experiments/solved-$pair.json" \
      "path $(family normal "$first")$(family normal "$second")--pairs $pairs $bends --epochs 60 --lr 0.02"
  done
  job "$study" experiments/long.json "path $ends $bends --epochs 60"
  job "$study" experiments/long-small.json "path $ends $bends --epochs 60 --batch-size 43"
done | carry_out "experiments"

for study in "${studies[@]}"; do
  for sampler in "${!more_seed[@]}"; do train_job "$study" "$sampler" more "$more_runs" "${more_seed[$sampler]}"; done
done | carry_out "more seeds"

for study in "${studies[@]}"; do
  data=${size_of[${study#*/}]:+--data measured.safetensors}
  files=""
  for sampler in "${!more_seed[@]}"; do
    for ((k = 0; k < more_runs; k++)); do files+="more/$sampler-$((more_seed[$sampler] + k)).st "; done
  done
  job "$study" more/flatness.json \
    "flatness $files--sigma $sigmas --samples $samples --test ${measuring[${study#*/}]:-} $data"
done | carry_out "their flatness"
