#!/usr/bin/env bash
# Stage 3: flatness, distances, the three kinds of path, the same with an optimised midpoint, and two planes.
# The kinds: linear, between networks as trained; aligned, linear once aligned; geodesic, normalised and aligned.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../study/stages.sh"
begin "$@"

if [ -n "$subset" ]; then
  for study in "${studies[@]}"; do
    subset_of_study "$study" "$subset"
  done | carry_out "data to measure on"
fi

# options_of NETWORK: those of path, flatness and plane
options_of() { echo "${measuring[$1]:-}${subset:+ --data measured.safetensors}"; }

declare -A folder=([linear]=raw [aligned]=raw [geodesic]=normal)
declare -A how=([linear]="" [aligned]="--align cosine" [geodesic]="--align cosine --kind geodesic")

for study in "${studies[@]}"; do
  network=${study#*/}
  options=$(options_of "$network")
  for kind in linear aligned geodesic; do
    job "$study" "paths/$kind.json" "path $(families "${folder[$kind]}") --pairs all ${how[$kind]} --points $points $options"
  done
  job "$study" flatness.json "flatness $(networks raw .st) --sigma $sigmas --samples $samples $options"
  job "$study" distances.json "distance $(families normal) --pairs all --align cosine"
  job "$study" distances-unaligned.json "distance $(families normal) --pairs all --no-functions"
  flat=rsgd-${first_seed[rsgd]} sharp=adv-${first_seed[adv]}
  job "$study" planes/raw.json \
    "plane raw/$flat.st raw/$sharp.st aligned/${sharp}_aligned.st --grid $grid $options"
  job "$study" planes/normal.json \
    "plane normal/$flat.st normal/$sharp.st normal-aligned/${sharp}_aligned.st --grid $grid $options"
done | carry_out "paths, flatness, distances, planes"

for kind in $bend_kinds; do
  for study in "${studies[@]}"; do
    network=${study#*/}
    for families in rsgd-rsgd rsgd-sgd sgd-sgd rsgd-adv sgd-adv adv-adv; do # a job each: a stopped study loses little
      first=${families%-*} second=${families#*-}
      pairs=$across
      if [ "$first" = "$second" ]; then pairs=all; fi
      job "$study" "paths/optimized-$kind-$families.json" \
        "path '${folder[$kind]}/$first-*.st' '${folder[$kind]}/$second-*.st' --pairs $pairs ${how[$kind]}" \
        "--optimize-midpoint $bend ${bend_of[$network/$kind]:-} --points $bend_points --midpoint-out 'midpoints/$kind-{start}-{end}.st' --force" \
        "$(options_of "$network")"
    done
  done
done | carry_out "optimised paths"
