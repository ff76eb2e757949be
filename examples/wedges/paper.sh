# shellcheck disable=SC2034 # the stages read these
# The same on whole data sets and larger networks, for a GPU each study; paper.sbatch runs them.
studies=(fashion-mnist/mlp fashion-mnist/lenet cifar10/mlp cifar10/resnet20 surrogate/wedges)
jobs=2    # commands at a time, all on the one GPU: one loads and writes while the other computes
threads=4 # of each, on the CPU
checkpoint_every=1

training=""
subset= # measure on so many training and test images; '' for all
declare -gA options_of_measuring=([resnet20]="--bn recompute")

# Finding 7. In the full space: plain SGD at its usual rate; in subspaces Adam at its usual one.
subspace_runs=5
subspace_seed=11
subspace_epochs=100
subspace_dims="4 16 64 256 1024 4096 16384"
declare -gA subspace_widths=([mlp]="64 256" [lenet]="1 2" [resnet20]="16 32")
declare -gA of_width=(
  [mlp/64]="--hidden 64,64" [mlp/256]="--hidden 256,256"
  [lenet/1]="--filters 10,20 --hidden 100" [lenet/2]="--filters 20,50 --hidden 500"
  [resnet20/16]="--width 16" [resnet20/32]="--width 32"
)
declare -gA of_full=([mlp]="--lr 0.02" [lenet]="--lr 0.02" [resnet20]="--lr 0.05")

# Finding 8. One number of epochs and a constant rate for all; each differs from base in one thing.
width_runs=5
width_seed=21
width_epochs=100
chains="wide batch_small base lr_low lr_high narrow decay_some decay_more batch_large"
declare -gA arms=([mlp]="$chains dropout" [lenet]="$chains dropout" [resnet20]="$chains")
declare -gA of_arm=()
declare -gA narrow=([mlp]="--hidden 32,32" [lenet]="--filters 5,10 --hidden 100" [resnet20]="--width 8")
declare -gA middle=([mlp]="--hidden 128,128" [lenet]="--filters 10,20 --hidden 200" [resnet20]="--width 16")
declare -gA wide=([mlp]="--hidden 512,512" [lenet]="--filters 20,40 --hidden 400" [resnet20]="--width 32")
for network in mlp lenet resnet20; do
  of_arm[$network/base]="${middle[$network]} --lr 0.03"
  of_arm[$network/lr_low]="${middle[$network]} --lr 0.003"
  of_arm[$network/lr_high]="${middle[$network]} --lr 0.1"
  of_arm[$network/narrow]="${narrow[$network]} --lr 0.03"
  of_arm[$network/wide]="${wide[$network]} --lr 0.03"
  of_arm[$network/decay_some]="${of_arm[$network/base]} --weight-decay 0.0001"
  of_arm[$network/decay_more]="${of_arm[$network/base]} --weight-decay 0.001"
  of_arm[$network/batch_large]="${of_arm[$network/base]} --batch-size 512"
  of_arm[$network/batch_small]="${of_arm[$network/base]} --batch-size 32"
  of_arm[$network/dropout]="${of_arm[$network/base]} --dropout 0.3"
done
unset network narrow middle wide
angles=5,10,15,20,25,30,35,40,45,50,55,60
directions=20
growth=0.1
curvature_samples=5000

# Findings 9 and 10. Twelve solutions: four disjoint sets of three, three of four.
solutions=12
solution_seed=31
declare -gA of_solution=(
  [mlp]="--hidden 512,512,512 --lr 0.02 --epochs 200"
  [lenet]="--filters 20,50 --hidden 500 --lr 0.05 --epochs 200"
  [resnet20]="--width 32 --lr 0.05 --epochs 200"
)
set_sizes="3 4"
objectives=([3]="vertices connector" [4]="vertices")
aligning="--align cosine"
nodes=([3]=7 [4]=5) # of an edge of a facet's grid, by the size of the set
bend="--epochs 50 --lr 0.02"

# Finding 11. SWA's rate is constant and its members the networks of the last epochs; forks go on as the others do.
groups=3
members=4
ensemble_epochs=200
fge_start=0.6
cycle_epochs=20
swa_members=10
fork_after=20
declare -gA of_ensemble=(
  [mlp]="--hidden 512,512,512 --lr 0.05" [lenet]="--filters 20,50 --hidden 500 --lr 0.05" [resnet20]="--lr 0.05"
)
declare -gA of_fork=([mlp]="--lr 0.05" [lenet]="--lr 0.05" [resnet20]="--lr 0.05")

# Finding 12 and 10c. So many wedges that no two solutions lie on one of them. Training stars stops once the error, that
# is a loss above the threshold, is zero: hence a low threshold. Losses are by ln 2 / threshold larger, rates smaller.
landscapes=5
wedge_dim=10000
wedge_short=500
wedges=1000
wedge_threshold=0.000693147 # a thousandth of ln 2
star_sizes="2 3 5 8"
surrogate_solutions="--epochs 1000 --batch-size 2 --lr 0.0001 --momentum 0"
surrogate_bend="--epochs 5000 --batch-size 2 --lr 0.0001 --momentum 0"
exact="--dim 500 --short 50,100 --wedges 1,10,100 --dims 0,12,25,50,75,100,150,200 --landscapes 5 --planes 10"
exact_model="wedges?dim=500&wedges=1&short=100&seed=0" # trained in subspaces as well, beside the exact optimum
exact_trained="12 25 50 75 100 150 200"
surrogate_subspace="--epochs 1000 --batch-size 2"
