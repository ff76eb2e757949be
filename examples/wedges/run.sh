#!/usr/bin/env bash
# The whole study, stage by stage; what is there already is not made again, so that a stopped run goes on.
#   bash examples/wedges/run.sh SETTINGS DATA_DIR RESULTS [STUDY...]
#   bash examples/wedges/run.sh small data examples/wedges/runs              Fashion-MNIST, MLP, and the surrogate; two cores
#   bash examples/wedges/run.sh lenet data examples/wedges/runs              findings 9 and 10 of LeNet, into the same folder
#   DRY=1 bash examples/wedges/run.sh paper data runs cifar10/resnet20       only print the commands
# Each stage is a finding or two, and can be called by itself with the same arguments.
# SETTINGS: small, lenet, paper, or a file like small.sh. DATA_DIR holds torchvision's folders; with DOWNLOAD=1 it is filled.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/wedges.sh"
run_stages "$@"
