#!/usr/bin/env bash
# Stage 2: for the planes, every network aligned to the first flat one. Of binary networks nothing is to be normalised.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../study/stages.sh"
begin "$@"

for study in "${studies[@]}"; do
  read -r reference others <<<"$(networks raw .st)"
  job "$study" align.json "align $reference $others --out-dir aligned --force"
done | carry_out "aligning"
