#!/usr/bin/env bash
# Finding 8: networks that differ in one hyperparameter, their angular widths, and the curvature beside them.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/wedges.sh"
begin "$@"

for study in $(of_networks); do
  network=${study#*/}
  for arm in ${arms[$network]:-}; do
    started "$study" "widths/$arm" "$width_runs" "$width_seed" \
      "--epochs $width_epochs --lr-schedule constant ${of_arm[$network/$arm]}"
  done
done | carry_out "networks of each hyperparameter"

data_to_measure | carry_out "data to measure on"

for study in $(of_networks); do
  network=${study#*/}
  options=$(measuring "$network")
  for arm in ${arms[$network]:-}; do
    members=$(series "widths/$arm" "$width_seed" "$width_runs")
    where=random
    if [ "$arm" = base ]; then where=random,gradient; fi # finding 12c
    job "$study" "widths/$arm-radial.json" \
      "flatness $members --kind radial --directions $where --angles $angles --samples $directions --growth $growth $options"
    for metric in euclidean relative; do
      job "$study" "widths/$arm-$metric.json" \
        "flatness $members --kind curvature --metric $metric --eigenvalues 1 --curvature-samples $curvature_samples $options"
    done
  done
done | carry_out "angular widths, curvature"
