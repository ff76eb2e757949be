# shellcheck disable=SC2034 # the stages read these
# The paper's setting, for a GPU each study; paper.sbatch runs them. VGG16 needs images of 32x32 at least: CIFAR-10.
studies=(mnist/mlp mnist/lenet fashion-mnist/mlp fashion-mnist/lenet cifar10/mlp cifar10/lenet cifar10/vgg16)
runs=3    # networks of each sampler
jobs=2    # commands at a time, all on the one GPU: one loads and writes while the other computes
threads=4 # of each, on the CPU
declare -gA first_seed=([rsgd]=1 [sgd]=4 [adv]=7)
checkpoint_every=1

# docs/method.md: Samplers: batch 128, a cosine to zero, no decay, no augmentation, until the training error is (near) zero. RSGD's
# rate: once merged, three replicas average three mini-batches, and their noise at 0.05 is about SGD's at 0.02.
training="--epochs 300"
declare -gA of_sampler=([rsgd]="--lr 0.05" [adv]="--lr 0.05")
declare -gA of_network=()
declare -gA of_both=() # by NETWORK/SAMPLER

subset= # measure on so many training and test images; '' for all
points=21
bend_kinds="geodesic aligned linear"
bend="--epochs 50"  # training of midpoints
declare -gA bend_of=() # by NETWORK/KIND
bend_points=11 # of each of the two pieces
across=cross # optimised paths between samplers: cross for all pairs, zip for one of each network
declare -gA measuring=([vgg16]="--bn recompute") # further options of path, flatness and plane, by network
sigmas=0.1,0.2,0.3,0.4,0.5
samples=20
grid=25
