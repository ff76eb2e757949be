# shellcheck disable=SC2034 # the stages read these
# LeNet's connectors on two CPU cores: findings 9 and 10 alone, beside what small.sh leaves in the same folder.
studies=(fashion-mnist/lenet)
stages=(connectors)
jobs=2    # commands at a time
threads=1 # of each
checkpoint_every=10

train_size=3000
training="--train-size $train_size"
subset="$train_size 1000" # measure on so many training and test images; '' for all
declare -gA options_of_measuring=()

# At small.sh's rate of 0.02, 40 epochs left a training error of 0.04: too much for a solution.
solutions=9
solution_seed=31
declare -gA of_solution=([lenet]="--filters 10,20 --hidden 100 --lr 0.05 --epochs 60")
set_sizes=3
objectives=([3]="vertices connector")
aligning="--align cosine"
nodes=([3]=7) # of an edge of a facet's grid, by the size of the set
bend="--epochs 15 --lr 0.02"
