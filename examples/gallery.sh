#!/usr/bin/env bash
# The pictures of docs/gallery.md, made anew in a few minutes on two cores, on generated data: nothing to download.
#   bash examples/gallery.sh [FOLDER [DATA_DIR [RESULTS]]]        (default: docs/gallery)
# With DATA_DIR, which holds Fashion-MNIST, of networks trained on a little of that; results are kept in RESULTS.
set -euo pipefail
pictures=$(realpath -m "${1:-$(dirname "$0")/../docs/gallery}")
shrink=$(realpath "$(dirname "$0")/shrink.py")
mkdir -p "$pictures"
data="--data hmm --hmm-patterns 600"
if [ -n "${2:-}" ]; then
  source=$(realpath "$2")
  data="--data fashion-mnist --train-size 600"
fi
work=${3:-$(mktemp -d)}
[ -n "${3:-}" ] || trap 'rm -rf "$work"' EXIT
mkdir -p "$work"
cd "$work"
[ -z "${source:-}" ] || ln -s "$source" data
common="--model mlp --hidden 32,32 $data --epochs 40"

for seed in 1 2; do
  for sampler in sgd rsgd adv; do
    # shellcheck disable=SC2086
    landscape train --algo $sampler $common --seed $seed -o $sampler-$seed.st --log $sampler-$seed.csv -q >/dev/null
  done
done
# shellcheck disable=SC2086
landscape train $common --keep-epochs 0,1,2,4,8,16 -o run.st -q >/dev/null
for dim in 4 16 64 256; do
  # shellcheck disable=SC2086
  landscape train $common --subspace-dim $dim --runs 3 -o "d$dim-{seed}.st" -q >d$dim.json
done
landscape normalize sgd-?.st rsgd-?.st adv-?.st --out-dir n -q >/dev/null
landscape align n/sgd-1.st n/sgd-2.st -o aligned.st -q >/dev/null

landscape path sgd-1.st sgd-2.st --loss -o raw.json -q
landscape path n/sgd-1.st aligned.st --loss -o aligned.json -q
landscape path n/sgd-1.st aligned.st --kind geodesic --loss -o geodesic.json -q
landscape path n/sgd-1.st aligned.st --kind geodesic --optimize-midpoint --epochs 3 -o midpoint.json -q
landscape path 'n/sgd-*.st' 'n/rsgd-*.st' 'n/adv-*.st' --pairs all --align cosine --kind geodesic -o families.json -q
landscape path n/sgd-1.st n/adv-1.st n/rsgd-1.st --kind connector --align cosine --epochs 2 -o connector.csv -q
landscape path sgd-1.st --direction gradient --range auto --loss -o line.json -q
landscape plane sgd-1.st sgd-2.st aligned.st --grid 15 -o plane.json -q
landscape plane sgd-1.st --directions random --range auto --grid 15 --project rsgd-1.st --loss -o around.json -q
landscape plane 'run-epoch*.st' run.st --directions pca --grid 15 --loss -o trajectory.json -q
landscape flatness sgd-?.st rsgd-?.st adv-?.st --samples 5 -o energy.json -q
landscape flatness sgd-?.st rsgd-?.st adv-?.st --kind radial --samples 4 -o radial.json -q
landscape flatness sgd-1.st --kind curvature --eigenvalues 3 --density --smallest --curvature-samples 300 \
  -o curvature.json -q
landscape distance n/*.st --matrix geodesic -o distance.json -q

draw() { landscape plot "${@:2}" -o "$pictures/$1.png" --dpi 80 --force -q; }
draw paths raw.json aligned.json geodesic.json --labels raw,aligned,geodesic
draw midpoint midpoint.json
draw families families.json
draw plane plane.json
draw surface plane.json --surface
draw energy energy.json
draw radial radial.json
draw curvature curvature.json
draw distance distance.json --width 4
draw connector connector.csv
draw line line.json
draw around around.json
draw trajectory trajectory.json
draw subspaces d4.json d16.json d64.json d256.json
draw training sgd-1.csv rsgd-1.csv adv-1.csv

python "$shrink" "$pictures"/*.png
