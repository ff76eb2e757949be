# shellcheck disable=SC2034 # the stages read these
# The paper's setting, for a GPU each study; paper.sbatch runs them. VGG16 needs images of 32x32 at least: CIFAR-10.
stages=(tune train symmetries measure)
studies=(mnist/mlp mnist/lenet fashion-mnist/mlp fashion-mnist/lenet cifar10/mlp cifar10/lenet cifar10/vgg16)
folders+=(tuning)
runs=5    # networks of each row
jobs=2    # commands at a time, all on the one GPU: one loads and writes while the other computes
threads=4 # of each, on the CPU
controls=(sgd-small sgd-old sgd-centre)
declare -gA first_seed=([rsgd]=1 [sgd]=11 [adv]=21 [sgd-small]=31 [sgd-old]=41 [sgd-centre]=51)
checkpoint_every=1

# docs/method.md: Samplers: a cosine to zero, no decay, no augmentation, until the training error is (near) zero.
epochs=300
training=""
declare -gA of_network=() model_of=()
declare -gA size_of=() # of the training set, by network; all of it without an entry

tuned=(rsgd sgd adv sgd-small) # the other rows take what sgd has
rates="0.01 0.02 0.05 0.1"
# The paper gives MLPs on CIFAR-10 another rate than all others; which is lost in the text that we have.
declare -gA rates_of=([cifar10/mlp]="0.002 0.005 0.01 0.02")
tuning_runs=2
declare -gA tuning_seed=([rsgd]=101 [sgd]=111 [adv]=121 [sgd-small]=131)

measured_tests=0 # with size_of: test images
points=21
bend_kinds="geodesic aligned linear"
bend="--midpoints 3 --epochs 50" # training of midpoints
declare -gA bend_of=([mlp/geodesic]="--lr 0.005" [lenet/geodesic]="--lr 0.005") # by NETWORK/KIND
bend_points=11 # of each of the two pieces
across=cross   # optimised paths between samplers: cross for all pairs, zip for one of each network
declare -gA measuring=([vgg16]="--bn recompute") # further options of path, flatness and plane, by network
sigmas=0.1,0.2,0.3,0.4,0.5
samples=20
grid=25
