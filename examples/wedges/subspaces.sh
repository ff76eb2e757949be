#!/usr/bin/env bash
# Finding 7: training in random affine subspaces of more and more dimensions, at two widths, and in the full space.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/wedges.sh"
begin "$@"

for study in $(of_networks); do
  network=${study#*/}
  for width in ${subspace_widths[$network]:-}; do
    model=${of_width[$network/$width]}
    for dim in $(printf '%s\n' $subspace_dims | sort -rn); do # the longest first
      started "$study" "subspaces/w${width}d$dim" "$subspace_runs" "$subspace_seed" \
        "$model --epochs $subspace_epochs --subspace-dim $dim --subspace-basis disjoint"
    done
    started "$study" "subspaces/w${width}full" "$subspace_runs" "$subspace_seed" \
      "$model --epochs $subspace_epochs ${of_full[$network]:-}"
  done
done | carry_out "random subspaces"
