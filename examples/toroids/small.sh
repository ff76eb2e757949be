# shellcheck disable=SC2034 # the stages read these
# Settings for two CPU cores: under an hour in all. See README.md for how the numbers were chosen.
studies=(fashion-mnist/lenet fashion-mnist/mlp)
runs=3    # networks of each sampler
jobs=2    # commands at a time
threads=1 # of each
declare -gA first_seed=([rsgd]=1 [sgd]=4 [adv]=7)
checkpoint_every=10

# RSGD's rate: once merged, three replicas average three mini-batches, whose noise is smaller. Its first γ: with the
# automatic one (0.018) they merge within seven epochs, before they have learnt anything.
train_size=3000
training="--train-size $train_size --epochs 60"
declare -gA of_sampler=([rsgd]="--lr 0.1 --gamma-init 0.002" [sgd]="--lr 0.05" [adv]="--lr 0.05")
declare -gA of_network=()
declare -gA of_both=() # by NETWORK/SAMPLER

subset="$train_size 500" # measure on so many training and test images; '' for all
points=11
bend_kinds="geodesic aligned"
bend="--epochs 10" # training of midpoints
declare -gA bend_of=([mlp/geodesic]="--lr 0.005") # by NETWORK/KIND; at 0.02, normalised MLPs leave the midpoint at once
bend_points=6        # of each of the two pieces
across=zip           # optimised paths between samplers: cross for all pairs, zip for one of each network
declare -gA measuring=() # further options of path, flatness and plane, by network
sigmas=0.3,0.4,0.5,0.6,0.8 # below, the MLP's energies are less than one sample in the training set
samples=10
grid=13
