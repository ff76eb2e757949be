#!/usr/bin/env bash
# Findings 9 and 10: connectors of disjoint sets of solutions, as trained and aligned, their vertices trained alone or on points.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/wedges.sh"
begin "$@"

for study in $(of_networks); do
  network=${study#*/}
  if [ -n "${of_solution[$network]:-}" ]; then
    started "$study" connectors/solution "$solutions" "$solution_seed" "${of_solution[$network]}"
  fi
done | carry_out "solutions"

data_to_measure | carry_out "data to measure on"

declare -A how=([trained]="" [aligned]="$aligning")

for study in $(of_networks); do
  network=${study#*/}
  if [ -z "${of_solution[$network]:-}" ]; then continue; fi
  for size in $set_sizes; do
    for ((set = 0; (set + 1) * size <= solutions; set++)); do
      members=$(series connectors/solution $((solution_seed + set * size)) "$size")
      for kind in trained aligned; do
        for on in ${objectives[$size]}; do
          name=m$size-$kind-$on-$((set + 1)) picture=
          if [ "$set-$size-$on" = 0-3-vertices ]; then picture="--plot connectors/$name.png"; fi # for the page
          job "$study" "connectors/$name.json" \
            "path $members --kind connector --shape complex ${how[$kind]} --train-on $on --points ${nodes[$size]} $bend" \
            "--connector-out 'connectors/$name-{vertex}.st' $picture --force $(measuring "$network")"
        done
      done
    done
  done
done | carry_out "connectors"
