# shellcheck disable=SC2034 # the stages read these
# Settings for two CPU cores: about half an hour in all. See README.md for how the numbers were chosen.
studies=(fashion-mnist/mlp surrogate/wedges)
jobs=2    # commands at a time
threads=1 # of each
checkpoint_every=10

train_size=3000
training="--train-size $train_size"
subset="$train_size 4000" # measure on so many training and test images; '' for all
declare -gA options_of_measuring=()

# Finding 7. In the full space: plain SGD at its usual rate; in subspaces Adam at its usual one.
subspace_runs=5
subspace_seed=11
subspace_epochs=25
subspace_dims="4 16 64 256 1024 4096"
declare -gA subspace_widths=([mlp]="64 256")
declare -gA of_width=([mlp/64]="--hidden 64,64" [mlp/256]="--hidden 256,256")
declare -gA of_full=([mlp]="--lr 0.02")

# Finding 8. One number of epochs and a constant rate for all; each differs from base in one thing.
width_runs=5
width_seed=21
width_epochs=30
declare -gA arms=([mlp]="wide batch_small base lr_low lr_high narrow decay_some decay_more batch_large dropout")
declare -gA of_arm=(
  [mlp/base]="--hidden 128,128 --lr 0.03"
  [mlp/lr_low]="--hidden 128,128 --lr 0.003" [mlp/lr_high]="--hidden 128,128 --lr 0.1"
  [mlp/narrow]="--hidden 32,32 --lr 0.03" [mlp/wide]="--hidden 512,512 --lr 0.03"
  [mlp/decay_some]="--hidden 128,128 --lr 0.03 --weight-decay 0.003"
  [mlp/decay_more]="--hidden 128,128 --lr 0.03 --weight-decay 0.01"
  [mlp/batch_large]="--hidden 128,128 --lr 0.03 --batch-size 512"
  [mlp/batch_small]="--hidden 128,128 --lr 0.03 --batch-size 32"
  [mlp/dropout]="--hidden 128,128 --lr 0.03 --dropout 0.3"
)
angles=5,10,15,20,25,30,35,40,45,50,55,60
directions=20
growth=0.1
curvature_samples=1000

# Findings 9 and 10. Twelve solutions: four disjoint sets of three, three of four.
solutions=12
solution_seed=31
declare -gA of_solution=([mlp]="--hidden 256,256 --lr 0.02 --epochs 60")
set_sizes="3 4"
objectives=([3]="vertices connector" [4]="vertices")
aligning="--align cosine"
nodes=([3]=7 [4]=5) # of an edge of a facet's grid, by the size of the set
bend="--epochs 15 --lr 0.02"

# Finding 11. SWA's rate is constant and its members the networks of the last epochs; forks go on as the others do.
groups=3
members=4
ensemble_epochs=40
fge_start=0.6
cycle_epochs=4
swa_members=10
fork_after=4
declare -gA of_ensemble=([mlp]="--hidden 128,128 --lr 0.05")
declare -gA of_fork=([mlp]="--lr 0.05")

# Finding 12 and 10c. So many wedges that no two solutions lie on one of them. Training stars stops once the error, that
# is a loss above the threshold, is zero: hence a low threshold. Losses are by ln 2 / threshold larger, rates smaller.
landscapes=3
wedge_dim=1000
wedge_short=50
wedges=1000
wedge_threshold=0.000693147 # a thousandth of ln 2
star_sizes="2 3 5 8"
surrogate_solutions="--epochs 400 --batch-size 2 --lr 0.0001 --momentum 0"
surrogate_bend="--epochs 2000 --batch-size 2 --lr 0.0001 --momentum 0"
exact="--dim 500 --short 50,100 --wedges 1,10,100 --dims 0,12,25,50,75,100,150,200 --landscapes 3 --planes 10"
exact_model="wedges?dim=500&wedges=1&short=100&seed=0" # trained in subspaces as well, beside the exact optimum
exact_trained="12 25 50 75 100 150 200"
surrogate_subspace="--epochs 1000 --batch-size 2"
