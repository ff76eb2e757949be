# Sourced by the stages of this study, which share what is below with each other, and study/stages.sh with the other studies.
# shellcheck disable=SC2034 # study/stages.sh reads these
# shellcheck source=../study/stages.sh
source "$here/../study/stages.sh"
stages=(subspaces widths connectors ensembles surrogate)
folders=(subspaces widths connectors ensembles solutions stars)
declare -gA options_of_data=([surrogate]=wedges)

# of_networks: the studies of networks that are asked for
of_networks() { printf '%s\n' "${studies[@]}" | grep -v '^surrogate/' || true; }

# of_surrogate: those of the surrogate
of_surrogate() { printf '%s\n' "${studies[@]}" | grep '^surrogate/' || true; }

# trained STUDY NAME RUNS SEED OPTIONS: the line that trains so many networks as NAME-SEED.st, NAME-(SEED + 1).st, ...
trained() {
  local study=$1 name=$2 count=$3 seed=$4
  shift 4
  job "$study" "$name.json" "train $* --runs $count --seed $seed --checkpoint-every $checkpoint_every --resume" \
    "-o '$name-{seed}.st'"
}

# started STUDY NAME RUNS SEED OPTIONS: the same of new networks, on the study's data
started() {
  local study=$1 data_set=${1%/*} name=$2 count=$3 seed=$4
  shift 4
  trained "$study" "$name" "$count" "$seed" "--model ${model_of[${study#*/}]:-${study#*/}} $*" \
    "--data ${options_of_data[$data_set]:-$data_set} --data-dir data $training"
}

# series NAME FIRST COUNT: NAME-FIRST.st and following
series() {
  local number
  for ((number = $2; number < $2 + $3; number++)); do printf '%s ' "$1-$number.st"; done
}

# data_to_measure: the lines that write what networks are measured on
data_to_measure() {
  local study
  if [ -z "$subset" ]; then return; fi
  for study in $(of_networks); do subset_of_study "$study" "$subset"; done
}

# measuring NETWORK: the options of all that measures
measuring() { echo "${options_of_measuring[$1]:-}${subset:+ --data measured.safetensors}"; }
