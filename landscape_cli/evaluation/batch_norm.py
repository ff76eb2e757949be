"""Batch-norm statistics computed anew over the training set, for networks that were merged or moved.

See docs/method.md: Geodesics and distances.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from landscape_cli.arguments import check_kind, check_whole
from landscape_cli.choices import Precision
from landscape_cli.errors import ModelError
from landscape_cli.forward.functional import as_inputs, cast_floats, errors_of_forward, run_with, unsaved_buffers
from landscape_cli.forward.memory import as_channels_last, largest_activation
from landscape_cli.forward.precision import computing
from landscape_cli.models.fitting import check_network
from landscape_cli.network import Params
from landscape_cli.rng import generator

MIB = 1 << 20
# What a batch's largest activation may take: within it, all inputs in one batch are exact.
MOST_BYTES = {"cpu": 256 * MIB, "cuda": 1024 * MIB}
# Where one batch is not enough, larger ones are slower on a CPU: beyond 32 MiB, every tensor's memory is mapped anew.
FAST_BYTES = {"cpu": 31 * MIB, "cuda": 1024 * MIB}
# Samples in a batch from which on measured errors no longer depend on them, and which are taken at any price.
ENOUGH_SAMPLES = 512
LEAST_SAMPLES = 64
# How many values are turned to float64 at a time, so that they stay in a CPU's cache.
SLICE = {"cpu": 1 << 18, "cuda": 1 << 24}
ORDER_SEED = 0

# Where the arguments are in the two functions that a batch-norm layer can be computed by.
ARGUMENTS: Mapping[Any, tuple[str, ...]] = {
    F.batch_norm: ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps"),
    torch.batch_norm: ("input", "weight", "bias", "running_mean", "running_var", "training", "momentum", "eps"),
}


@dataclass(frozen=True)
class Moments:
    """The moments of some values, by channel; those of two sets together are the sum.

    Attributes:
        count: how many values a channel.
        mean: their mean, shape (channels,), float64.
        squares: the sum of squared deviations from it, shape (channels,), float64.
    """

    count: int
    mean: Tensor
    squares: Tensor

    def __add__(self, other: Moments) -> Moments:
        """Pool two sets (Chan, Golub and LeVeque, 1983): nothing cancels, whatever the means are."""
        count = self.count + other.count
        step = other.mean - self.mean
        return Moments(
            count,
            self.mean + step * (other.count / count),
            self.squares + other.squares + step.square() * (self.count * other.count / count),
        )


def moments(x: Tensor) -> Moments:
    """Return the moments of activations of shape (n, channels, ...), accumulated in float64."""
    values = SLICE.get(x.device.type, SLICE["cpu"])
    total: Moments | None = None
    for part in x.split(max(1, values * len(x) // max(1, x.numel()))):
        # With channels last, this is a view.
        rows = part.movedim(1, -1).reshape(-1, x.shape[1]).double()
        mean = rows.mean(0)
        part_moments = Moments(len(rows), mean, (rows - mean).square_().sum(0))
        total = part_moments if total is None else total + part_moments
    assert total is not None
    return total


@torch.no_grad()
def recompute_statistics(
    model: nn.Module,
    params: Params,
    x: Tensor,
    *,
    batch_size: int | None = None,
    advance: Callable[[int], None] | None = None,
) -> dict[str, Tensor]:
    """Return a network with the running statistics of its batch-norm layers replaced by those of the inputs `x`.

    See docs/method.md: Geodesics and distances; moments are pooled as by Chan, Golub and LeVeque (1983).

    The statistics are what a single forward pass in training mode leaves behind with all of `x` as one batch and
    `momentum=None`: each layer's mean and (unbiased) variance of what reaches it when the layers before it normalise
    with the statistics of `x` too. Unlike there, all sums are in float64, and dropout is off. The running statistics
    that the network brings along have no influence.

    One pass is made. If one batch holds `x`, the result is exact. If not, `x` is taken in large batches of random
    samples (the same each time), each layer normalises with the statistics of the batch, and means and second moments
    are pooled over all batches, the variation between them included. The first layer is then exact still; further ones
    differ in proportion to 1 / batch size: in a ResNet20 and batches of 512, by 3e-4 of a standard deviation and 2e-3
    of a variance at most, and the loss by 1e-4 of itself. More passes that normalise with the pooled statistics would
    not help: deep networks amplify what is left of the differences before they remove it, one layer a pass.

    Layers without running statistics stay as they are; one that is used several times pools its uses; the counts of
    batches stay. Layers are found where they compute (`batch_norm` of `torch` or `torch.nn.functional`), so that they
    need not be modules; a layer that the forward pass does not reach keeps its statistics.

    Args:
        model: the architecture, put in evaluation mode; its own parameters are not used.
        params: the network.
        x: the training inputs, shape (n, *input_shape); fastest on the network's device.
        batch_size: samples a batch; by default from the size of the model's activations.
        advance: called with the number of samples done, for a progress bar.

    Returns:
        The network, with new statistics in their old dtypes, all other tensors shared; as it is if it has no such
        layer. Networks in half precision are computed with in float32.

    Raises:
        ModelError: if the network does not fit the model, the model does not run on the inputs, a layer sees a single
            value a channel, or a variance is too large for its dtype.
    """
    check_network("the network", model, params)
    check_kind("x", x, Tensor, "give inputs as a tensor, such as data.train.x", ModelError)
    if batch_size is not None:
        check_whole("batch_size", batch_size, ModelError, least=1)
    names = tracked_statistics(model, params, x[:2])
    if not names:
        return dict(params)
    network = _Network(model, params)
    if batch_size is None:
        sample_bytes = network.dtype.itemsize * largest_activation(network.run, x[:2])
        batch_size = size_of_batches(len(x), sample_bytes, network.device.type)
    with computing(Precision.FLOAT32, network.device), _Statistics(network) as statistics:
        for batch in batches_alike(x, batch_size):
            network.run(batch)
            if advance is not None:
                advance(len(batch))
    result = dict(params)
    for mean_names, variance_names, pooled in statistics.layers():
        if pooled.count < 2:
            raise ModelError(
                f"the statistics behind {mean_names[0]} cannot be recomputed over one value: more samples are needed"
            )
        for name in mean_names:
            result[name] = _stored(pooled.mean, params[name], name)
        for name in variance_names:
            result[name] = _stored(pooled.squares / (pooled.count - 1), params[name], name)
    return result


@torch.no_grad()
def tracked_statistics(model: nn.Module, params: Params, examples: Tensor) -> tuple[str, ...]:
    """Return the names of the running means that the network normalises with, in forward order.

    Args:
        model: the architecture, put in evaluation mode.
        params: the network.
        examples: any samples, shape (n, *input_shape); batch-norm without running statistics needs two.
    """
    network = _Network(model, params)
    with errors_of_forward(f"inputs of shape {tuple(examples.shape[1:])}"), _Statistics(network) as statistics:
        network.run(examples)
    return tuple(name for mean_names, _, _ in statistics.layers() for name in mean_names)


def batches_alike(x: Tensor, size: int) -> Iterator[Tensor]:
    """Yield inputs in batches of at most a size: all as they are, or else random samples, the same each time."""
    count = math.ceil(len(x) / size)
    if count == 1:
        yield x
        return
    # Samples are often sorted by class: batches in their order would not be alike.
    order = torch.randperm(len(x), generator=generator(ORDER_SEED)).to(x.device)
    for chosen in order.tensor_split(count):
        yield x[chosen]


def size_of_batches(samples: int, sample_bytes: int, device: str) -> int:
    """Return how many samples to take at a time, if the largest activation takes so many bytes a sample."""
    most = max(LEAST_SAMPLES, MOST_BYTES.get(device, MOST_BYTES["cpu"]) // sample_bytes)
    if samples <= most:
        return samples
    return min(most, max(ENOUGH_SAMPLES, FAST_BYTES.get(device, FAST_BYTES["cpu"]) // sample_bytes))


class _Network:
    """A network in float32 or better, whose tensors can be told by identity while it runs."""

    def __init__(self, model: nn.Module, params: Params) -> None:
        floating = [tensor for tensor in params.values() if tensor.is_floating_point()]
        self.dtype = torch.float32
        for tensor in floating:
            self.dtype = torch.promote_types(self.dtype, tensor.dtype)
        self.device = floating[0].device if floating else torch.device("cpu")
        self._model = model.eval()
        self._tensors = {
            # Detached, so that no two names share one object even where `params` does.
            name: as_channels_last(tensor.to(self.dtype) if tensor.is_floating_point() else tensor).detach()
            for name, tensor in params.items()
        }
        self._constants = cast_floats(unsaved_buffers(model), self.dtype, self.device)
        # A module that the model knows by two names has one statistic, which goes by both.
        aliases: dict[int, list[str]] = {}
        for name, tensor in model.state_dict(keep_vars=True).items():
            aliases.setdefault(id(tensor), []).append(name)
        together = {name: tuple(names) for names in aliases.values() for name in names}
        self._names = {id(tensor): together.get(name, (name,)) for name, tensor in self._tensors.items()}

    def run(self, x: Tensor) -> None:
        """Run on inputs, shape (n, *input_shape), of any dtype and device."""
        inputs = as_channels_last(as_inputs(x, self.dtype).to(self.device))
        run_with(self._model, self._constants | self._tensors, inputs)

    def names(self, tensor: Tensor) -> tuple[str, ...]:
        """Return the names under which the network has this very tensor."""
        return self._names.get(id(tensor), ())


class _Statistics(TorchFunctionMode):
    """Makes batch-norm layers normalise with the statistics of their inputs, and pools these."""

    def __init__(self, network: _Network) -> None:
        super().__init__()
        self._network = network
        self._pooled: dict[tuple[tuple[str, ...], tuple[str, ...]], Moments] = {}

    def layers(self) -> list[tuple[tuple[str, ...], tuple[str, ...], Moments]]:
        """Return, in forward order, each layer's names of the mean and of the variance, and the moments seen."""
        return [(*names, pooled) for names, pooled in self._pooled.items()]

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func not in ARGUMENTS:
            return func(*args, **kwargs)
        given = dict(zip(ARGUMENTS[func], args, strict=False)) | kwargs
        mean, variance = given["running_mean"], given["running_var"]
        if mean is None or variance is None or given.get("training", False):
            return func(*args, **kwargs)
        names = self._network.names(mean), self._network.names(variance)
        if not all(names):
            return func(*args, **kwargs)
        batch = moments(given["input"])
        self._pooled[names] = self._pooled[names] + batch if names in self._pooled else batch
        variance = (batch.squares / batch.count).to(mean.dtype)
        return func(**given | {"running_mean": batch.mean.to(mean.dtype), "running_var": variance})


def _stored(statistic: Tensor, old: Tensor, name: str) -> Tensor:
    new = statistic.to(old.device, old.dtype)
    if bool((torch.isinf(new) & torch.isfinite(statistic)).any()):
        raise ModelError(f"{name} exceeds what {old.dtype} can hold: convert the network to float32")
    return new
