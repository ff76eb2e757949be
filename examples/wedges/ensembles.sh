#!/usr/bin/env bash
# Finding 11: ensembles of independent networks, of one run's networks, and of forks of one network.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/wedges.sh"
begin "$@"

declare -A first_seed=([independent]=100 [short]=200 [snapshot]=300 [fge]=400 [swa]=500 [parent]=600 [fork]=700)

# last_epochs: those of the run at a constant rate whose networks SWA averages
last_epochs() { seq -s, $((ensemble_epochs - swa_members + 1)) "$ensemble_epochs"; }

for study in $(of_networks); do
  network=${study#*/}
  options=${of_ensemble[$network]:-}
  if [ -z "$options" ]; then continue; fi
  count=$((groups * members))
  started "$study" ensembles/independent "$count" "${first_seed[independent]}" "$options --epochs $ensemble_epochs"
  started "$study" ensembles/short "$count" "${first_seed[short]}" "$options --epochs $((ensemble_epochs / members))"
  started "$study" ensembles/snapshot "$groups" "${first_seed[snapshot]}" \
    "$options --algo snapshot --epochs $ensemble_epochs --cycles $members --keep-snapshots"
  started "$study" ensembles/fge "$groups" "${first_seed[fge]}" \
    "$options --algo fge --epochs $ensemble_epochs --fge-start $fge_start --cycle-epochs $cycle_epochs --keep-snapshots"
  started "$study" ensembles/swa "$groups" "${first_seed[swa]}" \
    "$options --lr-schedule constant --epochs $ensemble_epochs --keep-epochs $(last_epochs)"
  started "$study" ensembles/parent "$groups" "${first_seed[parent]}" "$options --lr-schedule constant --epochs $fork_after"
done | carry_out "ensembles"

for study in $(of_networks); do
  network=${study#*/}
  if [ -z "${of_ensemble[$network]:-}" ]; then continue; fi
  for ((group = 0; group < groups; group++)); do
    parent=ensembles/parent-$((first_seed[parent] + group)).st
    trained "$study" "ensembles/fork$((group + 1))" "$members" $((first_seed[fork] + 10 * group)) \
      "--init $parent ${of_fork[$network]} --epochs $((ensemble_epochs - fork_after))"
  done
done | carry_out "forks"

data_to_measure | carry_out "data to measure on"

# snapshots KIND: the networks that the run of this group has kept
snapshots() {
  local number
  for ((number = 1; number <= members; number++)); do
    printf '%s ' "ensembles/$1-$((first_seed[$1] + group))-snapshot$number.st"
  done
}

# measured STUDY NAME NETWORKS [OPTIONS]: the line that measures an ensemble
measured() { job "$1" "ensembles/$2.json" "distance $3 --ensemble ${4:-} $(measuring "${1#*/}")"; }

for study in $(of_networks); do
  if [ -z "${of_ensemble[${study#*/}]:-}" ]; then continue; fi
  for ((group = 0; group < groups; group++)); do
    number=$((group + 1))
    for kind in independent short; do
      own=$(series "ensembles/$kind" $((first_seed[$kind] + group * members)) "$members")
      measured "$study" "$kind-trained-$number" "$own"
      measured "$study" "$kind-aligned-$number" "$own" "$aligning"
    done
    measured "$study" "snapshot-trained-$number" "$(snapshots snapshot)"
    measured "$study" "fge-trained-$number" "$(snapshots fge)"
    measured "$study" "swa-trained-$number" \
      "$(for epoch in $(last_epochs | tr , ' '); do printf '%s ' "ensembles/swa-$((first_seed[swa] + group))-epoch$epoch.st"; done)"
    measured "$study" "fork-trained-$number" "$(series "ensembles/fork$number" $((first_seed[fork] + 10 * group)) "$members")"
  done
done | carry_out "what ensembles gain"
