#!/usr/bin/env bash
# The whole study, stage by stage; what is there already is not made again, so that a stopped run goes on.
#   bash examples/binary/run.sh SETTINGS DATA_DIR RESULTS [STUDY...]
#   bash examples/binary/run.sh small data examples/binary/runs              eleven studies, two cores
#   DRY=1 bash examples/binary/run.sh small data runs hmm-801/committee      only print the commands
# SETTINGS: small, or a file like small.sh. DATA_DIR holds torchvision's folders; with DOWNLOAD=1 it is filled.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../study/stages.sh"
run_stages "$@"
