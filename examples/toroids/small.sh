# shellcheck disable=SC2034 # the stages read these
# Settings for one CPU core: five hours in all. What is cut of protocol.md is said in README.md.
stages=(tune train symmetries measure explain)
studies=(fashion-mnist/mlp fashion-mnist/lenet mnist/mlp mnist/lenet)
folders+=(tuning)
runs=5    # networks of each row
jobs=1    # commands at a time
threads=1 # of each
controls=(sgd-small sgd-old sgd-centre)
declare -gA first_seed=([rsgd]=1 [sgd]=11 [adv]=21 [sgd-small]=31 [sgd-old]=41 [sgd-centre]=51)
declare -gA more_seed=([rsgd]=61 [sgd]=71) # of an experiment
more_runs=10
checkpoint_every=5

epochs=150
training="" # of networks that are kept; tuning has a data set of its own
declare -gA of_sampler=() of_both=()
declare -gA of_network=([mlp]="--hidden 128,128,128" [lenet]="--filters 6,16 --hidden 500")
declare -gA size_of=([mlp]=3000 [lenet]=1500) # of the training set, by network

tuned=(rsgd sgd adv sgd-small) # the other rows take what sgd has
rates="0.01 0.02 0.05 0.1"
declare -gA rates_of=() # by STUDY
tuning_runs=2
declare -gA tuning_seed=([rsgd]=101 [sgd]=111 [adv]=121 [sgd-small]=131)

measured_tests=2000 # test images; measured are all training images
points=21
bend_kinds="geodesic aligned linear"
bend="--midpoints 3 --epochs 10" # training of midpoints
declare -gA bend_of=([mlp/geodesic]="--lr 0.005" [lenet/geodesic]="--lr 0.005") # at 0.02 normalised midpoints are left at once
bend_points=11 # of each of the two pieces
across=cross   # optimised paths between samplers: cross for all pairs, zip for one of each network
declare -gA measuring=() # further options of path, flatness and plane, by network
sigmas=0.1,0.2,0.3,0.4,0.5
samples=20
grid=21
