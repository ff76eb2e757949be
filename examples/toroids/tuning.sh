# Sourced by the stages of this study: how each row is trained once its rate is chosen (protocol.md: Tuning).
declare -A base=(
  [rsgd]="--algo rsgd" [sgd]="--algo sgd" [adv]="--algo adv"
  [sgd-small]="--algo sgd --batch-size 43" [sgd-old]="--algo sgd" [sgd-centre]="--algo sgd"
)

# choose STUDY WHAT [OTHERWISE]: what tuning found, by choose.py; when commands are only printed and there is nothing yet,
# OTHERWISE. Where nothing can be chosen the command that asks is refused.
choose() {
  local folder=${1/\//-}
  if [ -n "${DRY:-}" ] && [ ! -d "$folder/tuning" ]; then
    echo "${3:-}"
  else
    python "$here/choose.py" "$folder" "$2" || echo "--not-tuned"
  fi
}

# options_of_sampler STUDY ROW: its rate and γ, chosen by tuning, and for how long it is trained
options_of_sampler() {
  local study=$1 row=$2 size=${size_of[${1#*/}]:-} own=$2 length=$epochs more=""
  case $row in
    rsgd) more="--keep-epochs 0" ;; # the mean of the replicas' initialisations, which sgd-centre begins from
    sgd-small) more="--batch-size 43" ;;
    sgd-old) own=sgd length=$(age_of_adv "$study") ;;
    sgd-centre) own=sgd more=$(for ((k = 0; k < runs; k++)); do printf -- '--init raw/rsgd-%s-epoch0.st ' $((first_seed[rsgd] + k)); done) ;;
  esac
  echo "${size:+--train-size $size }--epochs $length $(choose "$study" "$own" "--lr 0.05") $more"
}
