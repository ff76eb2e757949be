#!/usr/bin/env bash
# Stage 1: the networks of each row, all seeds of one in one process; a training that was stopped goes on.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../study/stages.sh"
begin "$@"
if [ ${#tuned[@]} -gt 0 ]; then source "$here/tuning.sh"; fi
train_networks
