#!/usr/bin/env bash
# The pictures of docs/gallery.md, made anew in a few minutes on two cores, on generated data: nothing to download.
#   bash examples/gallery.sh [FOLDER]        (default: docs/gallery)
set -euo pipefail
pictures=$(realpath -m "${1:-$(dirname "$0")/../docs/gallery}")
mkdir -p "$pictures"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

for seed in 1 2; do
  for sampler in sgd rsgd adv; do
    landscape train --algo $sampler --model mlp --hidden 32,32 --data hmm --hmm-patterns 600 --epochs 40 --seed $seed \
      -o $sampler-$seed.st --log $sampler-$seed.csv -q >/dev/null
  done
done
landscape normalize ./*.st --out-dir n -q >/dev/null
landscape align n/sgd-1.st n/sgd-2.st -o aligned.st -q >/dev/null

landscape path sgd-1.st sgd-2.st --loss -o raw.json -q
landscape path n/sgd-1.st aligned.st --loss -o aligned.json -q
landscape path n/sgd-1.st aligned.st --kind geodesic --loss -o geodesic.json -q
landscape path n/sgd-1.st aligned.st --kind geodesic --optimize-midpoint --epochs 3 -o midpoint.json -q
landscape path 'n/sgd-*.st' 'n/rsgd-*.st' 'n/adv-*.st' --pairs all --align cosine --kind geodesic -o families.json -q
landscape path n/sgd-1.st n/adv-1.st n/rsgd-1.st --kind connector --align cosine --epochs 2 -o connector.csv -q
landscape plane sgd-1.st sgd-2.st aligned.st --grid 15 -o plane.json -q
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
draw training sgd-1.csv rsgd-1.csv adv-1.csv

# Few colors make small files, which a repository can hold.
python - "$pictures"/*.png <<'CODE'
import sys

from PIL import Image

for path in sys.argv[1:]:
    Image.open(path).convert("RGB").quantize(48).save(path, optimize=True)
CODE
