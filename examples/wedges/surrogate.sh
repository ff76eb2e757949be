#!/usr/bin/env bash
# Findings 10c and 12: the surrogate, the distance to the nearest wedge: its exact optimum in subspaces, and stars of its solutions.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/wedges.sh"
begin "$@"

# landscape_of NUMBER: the model of one landscape
landscape_of() { echo "wedges?dim=$wedge_dim&wedges=$wedges&short=$wedge_short&seed=$1&threshold=$wedge_threshold"; }

for study in $(of_surrogate); do
  task "$study" exact.json "python '$here/exact.py' $exact"
  for dim in $exact_trained; do
    job "$study" "subspaces/d$dim.json" "train --model '$exact_model' --data wedges $surrogate_subspace" \
      "--subspace-dim $dim --runs $landscapes --seed 1 --force -o 'subspaces/d$dim-{seed}.st'"
  done
  for ((number = 0; number < landscapes; number++)); do
    job "$study" "solutions/landscape$number.json" \
      "train --model '$(landscape_of "$number")' --data wedges $surrogate_solutions" \
      "--runs ${star_sizes##* } --seed 1 --force -o 'solutions/landscape$number-{seed}.st'"
  done
done | carry_out "the surrogate: exact optimum, solutions"

for study in $(of_surrogate); do
  for ((number = 0; number < landscapes; number++)); do
    family="'solutions/landscape$number-*.st'"
    job "$study" "stars/lines-$number.json" "path $family $family --pairs all --loss --points 11"
    for size in $star_sizes; do
      for on in vertices connector; do
        job "$study" "stars/m$size-$on-$number.json" \
          "path $(series "solutions/landscape$number" 1 "$size") --kind connector --shape star --train-on $on --loss" \
          "$surrogate_bend"
      done
    done
  done
done | carry_out "the surrogate: lines, stars"
