#!/usr/bin/env bash
# Stage 3: flatness, distances, shortest paths as trained (raw) and aligned, the same with an optimised midpoint, planes.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../study/stages.sh"
begin "$@"

for study in "${studies[@]}"; do
  size=${subset_of[${study%/*}]:-}
  if [ -n "$size" ]; then subset_of_study "$study" "$size"; fi
done | carry_out "data to measure on"

# options_of STUDY: those of path, flatness, distance and plane
options_of() { if [ -n "${subset_of[${1%/*}]:-}" ]; then echo "--data measured.safetensors"; fi; }

declare -A how=([raw]="" [aligned]="--align cosine")

for study in "${studies[@]}"; do
  options=$(options_of "$study")
  for kind in raw aligned; do
    job "$study" "paths/$kind.json" \
      "path $(families raw) --pairs all --both-ways ${how[$kind]} --points $points --orders $orders $options"
  done
  job "$study" flatness.json "flatness $(networks raw .st "${samplers[@]}" "${controls[@]}") --flip ${flips_of[${study%/*}]:-$flips} --samples $samples $options"
  job "$study" distances.json "distance $(families raw) --pairs all --align cosine $options"
  job "$study" distances-unaligned.json "distance $(families raw) --pairs all --no-functions"
  for sampler in "${samplers[@]}"; do # three solutions each; aligned, to the first flat one, which is aligned to itself
    read -r -a plain <<<"$(networks raw .st "$sampler")"
    read -r -a aligned <<<"$(networks aligned _aligned.st "$sampler")"
    if [ "$sampler" = rsgd ]; then aligned[0]=${plain[0]}; fi
    third=""
    if [ "$runs" -lt 3 ]; then third="--third random"; fi
    job "$study" "planes/$sampler-raw.json" "plane ${plain[*]:0:3} --grid $grid $third $options"
    job "$study" "planes/$sampler-aligned.json" "plane ${aligned[*]:0:3} --grid $grid $third $options"
  done
done | carry_out "paths, flatness, distances, planes"

for kind in $bend_kinds; do
  for study in "${studies[@]}"; do
    for families in rsgd-rsgd rsgd-sgd sgd-sgd rsgd-adv sgd-adv adv-adv; do # a job each: a stopped study loses little
      first=${families%-*} second=${families#*-}
      pairs=$across
      if [ "$first" = "$second" ]; then pairs=all; fi
      job "$study" "paths/optimized-$kind-$families.json" \
        "path $(family raw "$first")$(family raw "$second")--pairs $pairs ${how[$kind]} --optimize-midpoint" \
        "--midpoints $midpoints ${bend_of[${study#*/}]} --points $bend_points --orders $bend_orders" \
        "$(options_of "$study")"
    done
  done
done | carry_out "optimised paths"
