# shellcheck disable=SC2034 # the stages read these
# VGG16 with batch-norm at an eighth of its width, on part of CIFAR-10, for one CPU core: the rest is as in small.sh.
source "$(dirname "${BASH_SOURCE[0]}")/small.sh"
stages=(train symmetries measure)
studies=(cifar10-part/vgg16)
# The part is drawn once; with DOWNLOAD=1 CIFAR-10 is fetched first.
prepare() {
  local part=$data/cifar10-part.safetensors
  if [ -e "$part" ]; then return; fi
  if [ -n "${DOWNLOAD:-}" ]; then fetch cifar10 "$data"; fi
  python "$here/../study/subset.py" cifar10 "$data" 10000 2000 "$part.part" && mv "$part.part" "$part"
}
runs=3
controls=()
tuned=() # untuned: findings are hints, as on the GPU
declare -gA first_seed=([rsgd]=1 [sgd]=11 [adv]=21)
declare -gA options_of_data=([cifar10-part]="data/cifar10-part.safetensors") model_of=([vgg16]="vgg16 --width 8")
training="--train-size 2000 --lr 0.05 --epochs 60"
size_of=([vgg16]=2000)
of_sampler=([adv]="--adv-lr 0.05")
measured_tests=500
points=11
bend_kinds="geodesic aligned"
bend="--midpoints 1 --epochs 5"
bend_points=6
measuring=([vgg16]="--bn recompute")
samples=5
grid=9
