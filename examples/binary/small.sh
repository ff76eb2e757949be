# shellcheck disable=SC2034 # the stages read these
# Settings for two CPU cores: under an hour in all. See README.md for how the numbers were chosen.
studies=(
  hmm-801/committee hmm-1601/committee hmm-3201/committee
  hmm-1601/perceptron hmm-3201/perceptron hmm-6401/perceptron
  mnist-parity/mlp-51 mnist-parity/mlp-101 mnist-parity/mlp-201
  fashion-mnist/mlp3 fashion-mnist/conv
)
runs=3    # networks of each sampler
jobs=2    # commands at a time
threads=1 # of each
declare -gA first_seed=([rsgd]=1 [sgd]=4 [adv]=7)
checkpoint_every=10

declare -gA options_of_data=(
  [hmm-801]="hmm --hmm-dim 801" [hmm-1601]="hmm --hmm-dim 1601"
  [hmm-3201]="hmm --hmm-dim 3201" [hmm-6401]="hmm --hmm-dim 6401"
  [mnist-parity]="mnist --train-size 10000 --task parity"
  [fashion-mnist]="fashion-mnist --train-size 3000"
)
declare -gA model_of=(
  [perceptron]=binary-perceptron
  [mlp-51]="binary-mlp --hidden 51,51" [mlp-101]="binary-mlp --hidden 101,101" [mlp-201]="binary-mlp --hidden 201,201"
  [mlp3]="binary-mlp --hidden 201,201,201"
  [conv]="binary-conv --filters 11,21 --hidden 101,51"
)

training="--lr-schedule cosine"
declare -gA of_sampler=([rsgd]="--replicas 5")
declare -gA of_network=()
declare -gA of_both=() # by NETWORK/SAMPLER

declare -gA subset_of=([mnist-parity]="10000 1000" [fashion-mnist]="3000 1000") # measure on so many training and test images
points=11
orders=5         # of flips, over which paths are averaged
bend_kinds=aligned
bend="--epochs 10" # training of midpoints
declare -gA bend_of=() # by NETWORK
bend_points=6      # of each of the two pieces
bend_orders=3
across=zip         # optimised paths between samplers: cross for all pairs, zip for one of each network
flips=0.01,0.02,0.05,0.1
samples=10
grid=11
