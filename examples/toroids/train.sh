#!/usr/bin/env bash
# Stage 1: the networks of each sampler, all seeds of one in one process; a training that was stopped goes on.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/stages.sh"
begin "$@"

for sampler in rsgd adv sgd; do # the longest first
  for study in "${studies[@]}"; do
    data_set=${study%/*} network=${study#*/}
    job "$study" "raw/$sampler.json" "train --algo $sampler --model $network --data $data_set --data-dir data" \
      "$training ${of_sampler[$sampler]:-} ${of_network[$network]:-} ${of_both[$network/$sampler]:-}" \
      "--runs $runs --seed ${first_seed[$sampler]} --checkpoint-every $checkpoint_every --resume" \
      "-o 'raw/$sampler-{seed}.st' --log raw/$sampler.csv"
  done
done | carry_out "training"
