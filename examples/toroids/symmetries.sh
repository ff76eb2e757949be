#!/usr/bin/env bash
# Stage 2: every network normalised; and, for the planes, some aligned to the first of a flatter sampler, or of their own.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../study/stages.sh"
begin "$@"

for study in "${studies[@]}"; do
  job "$study" normalize.json "normalize $(networks raw .st) --out-dir normal --force"
done | carry_out "normalising"

for study in "${studies[@]}"; do
  for ((k = 0; k < ${#samplers[@]}; k++)); do
    reference=${samplers[k]}-${first_seed[${samplers[k]}]}
    for folder in raw normal; do
      others="$folder/${samplers[k]}-$((first_seed[${samplers[k]}] + 1)).st"
      for sampler in "${samplers[@]:k + 1}"; do others+=" $folder/$sampler-${first_seed[$sampler]}.st"; done
      job "$study" "aligned/$folder-$reference.json" \
        "align $folder/$reference.st $others --out-dir aligned/$folder-$reference --force"
    done
  done
done | carry_out "aligning"
