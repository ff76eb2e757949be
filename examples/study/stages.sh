# Sourced by the stages of every study: their arguments, the networks of a study, and lists of commands.
# A stage is called with SETTINGS DATA_DIR RESULTS [STUDY...]; see toroids/run.sh. With DRY=1 it prints its commands only.
# `here` is the folder of the study that the stages belong to.

folders=(raw normal aligned paths planes midpoints) # of a study; a study that has others says so
stages=(train symmetries measure)                               # unless the settings say so
samplers=(rsgd sgd adv)                                         # from flat to sharp
tuned=()                                                        # rows that a study tunes
controls=()                                                     # further rows, as in sgd-small: of the sampler sgd

# begin ARGUMENTS: read the settings, go to the folder of results, make one for each study
begin() {
  local settings=${1:-}
  if [ $# -lt 3 ]; then
    echo "usage: bash $0 SETTINGS DATA_DIR RESULTS [STUDY...]    (SETTINGS: $(settings_here) or a file; STUDY: DATA/MODEL)" >&2
    exit 2
  fi
  # shellcheck disable=SC1090
  source "$(file_of_settings "$1")"
  data=$(realpath -m "$2")
  results=$(realpath -m "$3")
  shift 3
  if [ $# -gt 0 ]; then studies=("$@"); fi
  check_seeds
  if [ -n "${DRY:-}" ]; then return; fi
  cd "$here/../.."
  # shellcheck disable=SC1091
  source examples/chain.sh
  use_landscape
  for study in "${studies[@]}"; do
    local folder=$results/${study/\//-}
    mkdir -p "${folders[@]/#/$folder/}"
    ln -sfn "$data" "$folder/data" # so that results do not speak of one machine's folders
    echo "$settings" >"$folder/settings" # which the page's commands name
  done
  if declare -F prepare >/dev/null; then prepare; fi # what the settings need beside the data sets
  cd "$results"
}

# check_seeds: refuse rows whose seeds no one pattern names
check_seeds() {
  local sampler first
  if ! declare -p first_seed &>/dev/null; then return; fi # a study that numbers its networks otherwise
  for sampler in "${samplers[@]}"; do
    first=${first_seed[$sampler]}
    if [ $((first % 10 + runs)) -gt 10 ]; then
      echo "the seeds of $sampler, $runs from $first on, must differ in their last digit alone: set first_seed[$sampler]" >&2
      exit 2
    fi
  done
}

# Where a study's DATA or MODEL is not the name that `landscape train` knows it by, the settings say so:
declare -gA options_of_data=() model_of=()

# name_of_data DATA: the name of a data set, as in mnist, with the task after a colon where there is one
name_of_data() {
  local options=${options_of_data[$1]:-$1}
  case $options in
    *--task*) echo "${options%% *}:${options##*--task }" ;;
    *) echo "${options%% *}" ;;
  esac
}

# settings_here: the settings that the study has
settings_here() {
  local file found=()
  for file in "$here"/*.sh; do
    if grep -q '^studies=' "$file"; then found+=("$(basename "$file" .sh)"); fi
  done
  printf '%s' "${found[*]}"
}

# file_of_settings SETTINGS: their file
file_of_settings() { if [ -f "$1" ]; then echo "$1"; else echo "$here/$1.sh"; fi; }

# stages_of SETTINGS: the stages that they go through
stages_of() (
  local settings
  settings=$(file_of_settings "$1")
  if [ -f "$settings" ]; then
    # shellcheck disable=SC1090
    source "$settings"
  fi
  echo "${stages[@]}"
)

# run_stages ARGUMENTS: all stages, one after another, and the page
run_stages() {
  if [ -n "${DOWNLOAD:-}" ] && [ -z "${DRY:-}" ] && [ $# -ge 3 ]; then
    (
      begin "$@"
      for study in "${studies[@]}"; do
        name=$(name_of_data "${study%/*}")
        if [[ $name != */* ]]; then fetch "${name%:*}" "$data"; fi # else a file, which the settings make
      done
    )
  fi
  local stage results
  for stage in $(stages_of "${1:-}"); do
    bash "$here/$stage.sh" "$@"
  done
  if [ -z "${DRY:-}" ] && [ $# -eq 3 ]; then # not where several runs share a folder, each with a study of its own
    results=$(realpath "$3")
    cd "$here/../.."
    # shellcheck disable=SC1091
    source examples/chain.sh
    use_environment
    python "$here/report.py" "$results"
  fi
}

# train_networks: stage 1, the networks of each sampler, all seeds of one in one process; what was stopped goes on.
# Controls come last: they begin from what the samplers left, or are trained for as long as one was.
train_networks() {
  local sampler study
  for sampler in rsgd adv sgd; do # the longest first
    for study in "${studies[@]}"; do train_job "$study" "$sampler"; done
  done | carry_out "training"
  for study in "${studies[@]}"; do
    for sampler in "${controls[@]}"; do train_job "$study" "$sampler"; done
  done | carry_out "controls"
}

# train_job STUDY SAMPLER [FOLDER RUNS SEED]: the line that trains its networks, those of the study or others
train_job() {
  local study=$1 sampler=$2 data_set=${1%/*} network=${1#*/} folder=${3:-raw}
  job "$study" "$folder/$sampler.json" "train --algo ${sampler%%-*} --model ${model_of[$network]:-$network}" \
    "--data ${options_of_data[$data_set]:-$data_set} --data-dir data" \
    "$training ${of_network[$network]:-} $(options_of_sampler "$study" "$sampler")" \
    "--runs ${4:-$runs} --seed ${5:-${first_seed[$sampler]}} --checkpoint-every $checkpoint_every --resume" \
    "-o '$folder/$sampler-{seed}.st' --log $folder/$sampler.csv"
}

# age_of_adv STUDY: the epochs of ADV there, both phases; when commands are only printed and it is not there yet, one
age_of_adv() {
  local log=${1/\//-}/raw/adv.csv
  if [ -n "${DRY:-}" ] && [ ! -e "$log" ]; then echo 1; else python "$here/../study/age.py" "$log"; fi
}

# options_of_sampler STUDY SAMPLER: how it is trained there; a study that tunes has another
options_of_sampler() { echo "${of_sampler[$2]:-} ${of_both[${1#*/}/$2]:-}"; }

# job STUDY FILE ARGUMENTS: the line that has `landscape` write a result, unless it is there already
job() {
  local study=$1 file=$2
  shift 2
  line "$study" "$file" "landscape $* --format json --quiet >$file.part"
}

# task STUDY FILE COMMAND: the same of another command, which takes the file to write as its last argument
task() { line "$1" "$2" "$3 $2.part"; }

# line STUDY FILE COMMAND: of a command that writes FILE.part. With ONLY='paths/*' what is measured is these files alone.
line() {
  local folder=${1/\//-}
  # shellcheck disable=SC2053 # ONLY is a pattern
  if [ -n "${ONLY:-}" ] && [[ $0 =~ (measure|explain)\.sh$ ]] && [ "$2" != measured.safetensors ] && [[ $2 != $ONLY ]]; then return; fi
  if [ -n "${DRY:-}" ] || [ ! -s "$folder/$2" ]; then
    echo "cd $folder && $3 && mv $2.part $2"
  fi
}

# subset_of_study STUDY SIZES: the line that writes the data to measure on, so many training and test images of its own
subset_of_study() {
  task "$1" measured.safetensors "python '$here/../study/subset.py' $(name_of_data "${1%/*}") data $2"
}

# carry_out WORDS: run the lines of standard input, so many at a time as the settings say; stop if one fails
carry_out() {
  if [ -n "${DRY:-}" ]; then
    echo "# $1"
    cat
    return
  fi
  echo "$(date +%T)  $1"
  tr '\n' '\0' | OMP_NUM_THREADS=$threads xargs -0 -r -P "$jobs" -I{} sh -c '({}) || exit 255'
}

# networks FOLDER SUFFIX [SAMPLER...]: the files of their networks, of rsgd, sgd and adv, as FOLDER/SAMPLER-SEED + SUFFIX
networks() {
  local folder=$1 suffix=$2 sampler number
  shift 2
  for sampler in "${@:-${samplers[@]}}"; do
    for ((number = 0; number < runs; number++)); do
      printf '%s ' "$folder/$sampler-$((first_seed[$sampler] + number))$suffix"
    done
  done
}

# family FOLDER SAMPLER: its networks as a quoted pattern, which fits no control's and no epoch's
family() {
  local first=${first_seed[$2]}
  printf "'%s' " "$1/$2-${first%?}[${first: -1}-$(((first + runs - 1) % 10))].st"
}

# families FOLDER: the three families as quoted patterns
families() { for sampler in "${samplers[@]}"; do family "$1" "$sampler"; done; }
