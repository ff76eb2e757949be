#!/usr/bin/env bash
# Stage 4: the experiments of protocol.md on what does not hold.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../study/stages.sh"
folders+=(relabelled experiments)
begin "$@"

for study in "${studies[@]}"; do
  for sampler in "${samplers[@]}"; do
    line "$study" "relabelled/$sampler.json" \
      "python '$here/relabel.py' $(networks raw .st "$sampler")relabelled >relabelled/$sampler.json.part"
  done
done | carry_out "relabelling"

for study in "${studies[@]}"; do
  data=${size_of[${study#*/}]:+--data measured.safetensors}
  options="--points $points ${measuring[${study#*/}]:-} $data"
  for sampler in "${samplers[@]}"; do
    job "$study" "experiments/relabelled-$sampler.json" \
      "path $(family raw "$sampler")$(family relabelled "$sampler")--pairs zip $options"
  done
  job "$study" experiments/normalised.json "path $(families normal) --pairs all --align cosine --both-ways $options"
done | carry_out "experiments"
