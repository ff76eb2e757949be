# shellcheck disable=SC2034 # the stages read these
# Settings for two CPU cores: an hour in all. See README.md for how the numbers were chosen.
studies=(
  hmm-801/committee hmm-1601/committee hmm-3201/committee
  hmm-1601/perceptron hmm-3201/perceptron hmm-6401/perceptron
  mnist-parity/mlp-51 mnist-parity/mlp-101 mnist-parity/mlp-201
  fashion-mnist/mlp3 fashion-mnist/conv
)
runs=3    # networks of each sampler
jobs=2    # commands at a time
threads=1 # of each
controls=(sgd-old) # as old as ADV is after both of its phases
declare -gA first_seed=([rsgd]=1 [sgd]=4 [adv]=7 [sgd-old]=10)
checkpoint_every=10

declare -gA options_of_data=(
  [hmm-801]="hmm --hmm-dim 801" [hmm-1601]="hmm --hmm-dim 1601"
  [hmm-3201]="hmm --hmm-dim 3201" [hmm-6401]="hmm --hmm-dim 6401"
  [mnist-parity]="mnist --train-size 10000 --task parity"
  [fashion-mnist]="fashion-mnist --train-size 2000"
)
declare -gA model_of=(
  [perceptron]=binary-perceptron
  [mlp-51]="binary-mlp --hidden 51,51" [mlp-101]="binary-mlp --hidden 101,101" [mlp-201]="binary-mlp --hidden 201,201"
  [mlp3]="binary-mlp --hidden 201,201,201"
  [conv]=binary-conv
)

# Rates carry latent weights across zero, so they are large. ADV forgets its random labels at the rates that suit the
# others, hence a smaller one on images; on generated data it has several copies of them, and stops as soon as one
# sample or none is wrong: what comes after only flattens it, to what SGD is.
training=""
declare -gA of_sampler=()
declare -gA of_network=()
declare -gA of_both=() # by NETWORK/SAMPLER
for network in committee perceptron; do
  of_both[$network/rsgd]="--replicas 5 --momentum 0 --lr 30 --epochs 300"
  of_both[$network/sgd]="--momentum 0 --lr 30 --epochs 300"
done
stopped="--lr-schedule constant --epochs 1000 --until-error 0.002"
adversarial="--adv-optimizer adam --adv-until-error 0"
of_both[committee/adv]="--adv-copies 5 $adversarial --adv-epochs 150 --lr 30 $stopped"
of_both[perceptron/adv]="--adv-copies 2 $adversarial --adv-epochs 300 --lr 10 $stopped"
for network in mlp-51 mlp-101 mlp-201 mlp3 conv; do
  epochs=30
  case $network in mlp3 | conv) epochs=60 ;; esac
  of_both[$network/rsgd]="--optimizer adam --lr 0.05 --epochs $epochs"
  of_both[$network/sgd]=${of_both[$network/rsgd]}
  of_both[$network/adv]="--adv-optimizer adam --adv-epochs 60 --optimizer adam --lr 0.02 --epochs 60"
done
of_both[conv/adv]="--adv-optimizer adam --adv-epochs 80 --optimizer adam --lr 0.02 --epochs 80"
of_network[conv]="--batch-size 64" # of every sampler: with mini-batches of 128 SGD learns too little
for network in committee perceptron mlp-51 mlp-101 mlp-201 mlp3 conv; do
  of_both[$network/sgd-old]=${of_both[$network/sgd]% --epochs *} # the epochs are ADV's
done
unset network epochs stopped adversarial

# measure on so many training and test images; data without an entry are measured on whole
declare -gA subset_of=([mnist-parity]="10000 1000" [fashion-mnist]="2000 1000")
points=11
orders=5 # of flips, over which paths are averaged
bend_kinds=aligned
midpoints=3
declare -gA bend_of=( # training of midpoints, by NETWORK; by the optimiser of the networks, SGD or Adam
  [committee]="--momentum 0 --epochs 50" [perceptron]="--momentum 0 --epochs 50" [mlp-51]="--epochs 10"
  [mlp-101]="--epochs 10" [mlp-201]="--epochs 10" [mlp3]="--epochs 10" [conv]="--epochs 10 --batch-size 64"
)
bend_points=6 # of each of the two pieces
bend_orders=1  # through each midpoint
across=zip # optimised paths between samplers: cross for all pairs, zip for one of each network
flips=0.01,0.02,0.05,0.1
declare -gA flips_of=() # by DATA: solutions on generated data do not feel fewer
for data_set in hmm-801 hmm-1601 hmm-3201 hmm-6401; do flips_of[$data_set]=0.05,0.1,0.2,0.3; done
unset data_set
samples=10
grid=9
