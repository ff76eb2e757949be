#!/usr/bin/env bash
# Stage 1: the networks of each sampler, all seeds of one in one process; a training that was stopped goes on.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../study/stages.sh"
begin "$@"

# options_of_sampler STUDY SAMPLER: sgd-old is trained for as long as ADV was
options_of_sampler() {
  local age=""
  if [ "$2" = sgd-old ]; then age="--epochs $(age_of_adv "$1")"; fi
  echo "${of_sampler[$2]:-} ${of_both[${1#*/}/$2]:-} $age"
}

train_networks
