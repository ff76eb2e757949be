#!/usr/bin/env bash
# Stage 2: every network normalised; and, for the planes, aligned to the first flat one, as trained and normalised.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../study/stages.sh"
begin "$@"

for study in "${studies[@]}"; do
  job "$study" normalize.json "normalize $(networks raw .st) --out-dir normal --force"
done | carry_out "normalising"

for study in "${studies[@]}"; do
  read -r reference others <<<"$(networks raw .st)"
  job "$study" align.json "align $reference $others --out-dir aligned --force"
  read -r reference others <<<"$(networks normal .st)"
  job "$study" normal-align.json "align $reference $others --out-dir normal-aligned --force"
done | carry_out "aligning"
