#!/usr/bin/env bash
# Stage 3: flatness, distances, planes, the three kinds of path, and the same with an optimised midpoint.
# The kinds: linear, between networks as trained; aligned, linear once aligned; geodesic, normalised and aligned.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../study/stages.sh"
begin "$@"

for study in "${studies[@]}"; do
  size=${size_of[${study#*/}]:-}
  if [ -n "$size" ]; then subset_of_study "$study" "$size $measured_tests"; fi
done | carry_out "data to measure on"

# data_of NETWORK, options_of NETWORK: those of distance, and those of path, flatness and plane
data_of() { echo "${size_of[$1]:+--data measured.safetensors}"; }
options_of() { echo "${measuring[$1]:-} $(data_of "$1")"; }

declare -A folder=([linear]=raw [aligned]=raw [geodesic]=normal)
declare -A how=([linear]="" [aligned]="--align cosine --both-ways" [geodesic]="--align cosine --both-ways --kind geodesic")

for study in "${studies[@]}"; do
  network=${study#*/}
  options=$(options_of "$network")
  job "$study" flatness.json \
    "flatness $(networks raw .st "${samplers[@]}" "${controls[@]}") --sigma $sigmas --samples $samples --test $options"
  job "$study" distances.json "distance $(families normal) --pairs all --align cosine $(data_of "$network")"
  job "$study" distances-unaligned.json "distance $(families normal) --pairs all --no-functions"
  for kind in linear aligned geodesic; do
    job "$study" "paths/$kind.json" "path $(families "${folder[$kind]}") --pairs all ${how[$kind]} --points $points $options"
  done
done | carry_out "flatness, distances, paths"

for study in "${studies[@]}"; do
  options=$(options_of "${study#*/}")
  for ((k = 0; k < ${#samplers[@]}; k++)); do
    for ((l = k; l < ${#samplers[@]}; l++)); do
      a=${samplers[k]}-${first_seed[${samplers[k]}]} b=${samplers[l]}-$((first_seed[${samplers[l]}] + (l == k)))
      for folder in raw normal; do
        job "$study" "planes/$folder-${samplers[k]}-${samplers[l]}.json" \
          "plane $folder/$a.st $folder/$b.st aligned/$folder-$a/${b}_aligned.st --grid $grid $options"
      done
    done
  done
done | carry_out "planes"

for kind in $bend_kinds; do
  for study in "${studies[@]}"; do
    network=${study#*/}
    for ((k = 0; k < ${#samplers[@]}; k++)); do
      for ((l = k; l < ${#samplers[@]}; l++)); do # a job each: a stopped study loses little
        first=${samplers[k]} second=${samplers[l]}
        from=${folder[$kind]} pairs=$across
        if [ "$first" = "$second" ]; then pairs=all; fi
        job "$study" "paths/optimized-$kind-$first-$second.json" \
          "path $(family "$from" "$first")$(family "$from" "$second")--pairs $pairs ${how[$kind]/--both-ways/}" \
          "--optimize-midpoint $bend ${bend_of[$network/$kind]:-} --points $bend_points $(options_of "$network")"
      done
    done
  done
done | carry_out "optimised paths"
