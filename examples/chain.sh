# Sourced by the scripts of this folder and by tests/run.sh: what they share.

# use_environment: activate .venv, made if missing, unless an environment is active
use_environment() {
  if [ -z "${VIRTUAL_ENV:-}" ] && [ -z "${CONDA_PREFIX:-}" ]; then
    if [ ! -x .venv/bin/python ]; then
      echo "Making a virtual environment in .venv ..."
      python3 -m venv .venv
    fi
    # shellcheck disable=SC1091
    source .venv/bin/activate
  fi
}

# use_landscape: install this checkout if `landscape` does not come from it
use_landscape() {
  use_environment
  if [ "$(python -c 'import landscape_cli, os; print(os.path.dirname(os.path.dirname(landscape_cli.__file__)))' \
    2>/dev/null)" != "$PWD" ] || ! python -c 'import torch, matplotlib' 2>/dev/null; then
    echo "Installing landscape ..."
    python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[plot]'
  fi
}

# new_folder DIR: make a folder for results, refusing one that is there
new_folder() {
  if [ -e "$1" ]; then
    echo "$1 exists already: remove it, or name another folder" >&2
    exit 2
  fi
  mkdir -p "$1"
}

# fetch DATA DIR: download a data set into a folder, where it is missing
fetch() {
  python -c "import sys; from landscape_cli.data import DataSpec, load_data; load_data(DataSpec(*sys.argv[1:]), download=True)" \
    "$1" "$2"
}

# step WORDS: say what comes next, and when
step() { printf '%5d s  %s\n' "$SECONDS" "$1"; }

# run: run `landscape` with each line of standard input, two at a time, a core each; stop at the first that fails
run() {
  OMP_NUM_THREADS=1 xargs -P 2 -I{} sh -c 'landscape {} --quiet || exit 255'
}

# files PREFIX SUFFIX NAMES...: PREFIX + name + SUFFIX for each name
files() {
  local prefix=$1 suffix=$2
  shift 2
  printf "$prefix%s$suffix " "$@"
}

# remove_symmetries: from raw/*.st make normal/, and for each network copies aligned to the ones before it:
# aligned/REFERENCE/ (as trained) and normal-aligned/REFERENCE/ (normalised)
remove_symmetries() {
  landscape normalize $(files raw/ .st "$@") --out-dir normal --quiet >normalize.json
  while [ $# -gt 1 ]; do
    local reference=$1
    shift
    echo "align raw/$reference.st $(files raw/ .st "$@") --out-dir aligned/$reference >aligned/$reference.json"
    echo "align normal/$reference.st $(files normal/ .st "$@") --out-dir normal-aligned/$reference" \
      ">normal-aligned/$reference.json"
  done | run
}

# measure_distances REFERENCE NAMES...: of a reference from networks aligned to it; a line for `run`
measure_distances() {
  local reference=$1
  shift
  echo "distance normal/$reference.st $(files "normal-aligned/$reference/" _aligned.st "$@")" \
    "-o distances-$reference.json"
}

# measure_paths POINTS A B: the three kinds of path between two networks; lines for `run`
measure_paths() {
  echo "path raw/$2.st raw/$3.st --points $1 -o paths/$2_$3_linear.json"
  echo "path raw/$2.st aligned/$2/$3_aligned.st --points $1 -o paths/$2_$3_aligned.json"
  echo "path normal/$2.st normal-aligned/$2/$3_aligned.st --points $1 --kind geodesic -o paths/$2_$3_geodesic.json"
}
