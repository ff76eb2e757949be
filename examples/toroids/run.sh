#!/usr/bin/env bash
# The whole study, stage by stage; what is there already is not made again, so that a stopped run goes on.
#   bash examples/toroids/run.sh SETTINGS DATA_DIR RESULTS [STUDY...]
#   bash examples/toroids/run.sh small data examples/toroids/runs            Fashion-MNIST and MNIST, LeNet and MLP, one core
#   DRY=1 bash examples/toroids/run.sh paper data runs cifar10/vgg16         only print the commands
# SETTINGS: small, paper, or a file like small.sh. DATA_DIR holds torchvision's folders; with DOWNLOAD=1 it is filled.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../study/stages.sh"
run_stages "$@"
