#!/usr/bin/env bash
# Stage 0: rates, and RSGD's γ, by a tenth of the training set that is held out, on seeds that are used for nothing else.
# choose.py reads what comes of it; tuning/chosen.json is its record, and a study that has it is not tuned again.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../study/stages.sh"
source "$here/tuning.sh"
begin "$@"

if [ -z "${DRY:-}" ]; then
  left=()
  for study in "${studies[@]}"; do
    if [ ! -s "${study/\//-}/tuning/chosen.json" ]; then left+=("$study"); fi
  done
  studies=("${left[@]}")
fi

# tuning_job STUDY NAME ROW OPTIONS: the line that trains a row's networks with one setting; one that diverges leaves an
# empty file, and the study goes on
tuning_job() {
  local network=${1#*/} row=$3
  line "$1" "tuning/$2.json" "landscape train ${base[$row]} --model ${model_of[$network]:-$network} ${of_network[$network]:-}\
 --data tuning/data.safetensors --runs $tuning_runs --seed ${tuning_seed[$row]} -o 'tuning/$2-{seed}.st' --log tuning/$2.csv\
 --checkpoint-every $checkpoint_every --resume $4 --format json --quiet >tuning/$2.json.part ||\
 { [ \$? -le 2 ] && [ -s tuning/$2.csv ]; }"
}

for study in "${studies[@]}"; do
  task "$study" tuning/data.safetensors \
    "python '$here/../study/subset.py' --held-out $(name_of_data "${study%/*}") data ${size_of[${study#*/}]:-0}"
done | carry_out "data to tune on"

for study in "${studies[@]}"; do
  for rate in ${rates_of[$study]:-$rates}; do
    for row in sgd sgd-small rsgd; do
      tuning_job "$study" "$row-$rate" "$row" "--epochs $epochs --lr $rate"
    done
    tuning_job "$study" "first-$rate" adv "--epochs 1 --lr $rate --adv-lr $rate"
  done
done | carry_out "tuning: rates, and ADV's first phase"

for study in "${studies[@]}"; do
  for rate in ${rates_of[$study]:-$rates}; do
    tuning_job "$study" "adv-$rate" adv "--epochs $epochs --lr $rate $(choose "$study" first "--adv-lr 0.05")"
    tuning_job "$study" "rsgd-$rate-tenth" rsgd "--epochs $epochs --lr $rate $(choose "$study" tenth "--gamma-init 0.01")"
  done
done | carry_out "tuning: ADV's second phase, RSGD's γ"

for study in "${studies[@]}"; do
  task "$study" tuning/chosen.json "python '$here/choose.py' . record"
done | carry_out "the choice"
