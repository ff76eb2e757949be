"""Error and loss of many networks at once: the one evaluator that every measurement goes through."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

import torch
from torch import Tensor, nn

from landscape_cli.arguments import check_kind, check_tensors, check_whole, device_of
from landscape_cli.choices import Precision
from landscape_cli.data.source import Split
from landscape_cli.errors import DataError, ModelError
from landscape_cli.evaluation.arithmetic import Arithmetic
from landscape_cli.evaluation.batch_norm import recompute_statistics
from landscape_cli.evaluation.choice import choose_runner, run_once
from landscape_cli.evaluation.runners import Batch
from landscape_cli.evaluation.scores import Quantity, Scores, SplitFacts, Tally, quantity_of
from landscape_cli.evaluation.splits import Data, check_name, named_splits
from landscape_cli.forward.combination import with_tensors
from landscape_cli.forward.functional import (
    cast_floats,
    errors_of_forward,
    float_type,
    unsaved_buffers,
)
from landscape_cli.forward.kernels import Kernels
from landscape_cli.forward.memory import MIB
from landscape_cli.forward.objective import Objective
from landscape_cli.forward.outputs import decide
from landscape_cli.forward.sizes import fitting_batch, layout_for, networks_together
from landscape_cli.models.fitting import check_params
from landscape_cli.network import Params

NETWORK_BYTES = {"cpu": 256 * MIB, "cuda": 2048 * MIB}
LEAST_SAMPLES = 64
"""In a batch, whatever the activations take, unless outputs are as many as places."""


class Evaluator:
    """Evaluates networks on data held in memory on a device.

    Networks are taken a few at a time from any iterable, and each batch of data is read once for all of them,
    so that a path or plane of thousands of networks needs the memory of a handful.
    """

    def __init__(
        self,
        model: nn.Module,
        data: Data,
        *,
        device: torch.device | str = "cpu",
        batch_size: int | None = None,
        advance: Callable[[int], None] | None = None,
        recompute_on: str | None = None,
        integers: bool | None = None,
        objective: Objective | None = None,
        precision: str | Arithmetic = Precision.FLOAT32,
    ) -> None:
        """Put the data on the device and choose the sizes of the work.

        Args:
            model: the architecture, put in evaluation mode; its own parameters are not used.
            data: what `load_data` returns, one split ("data"), or several by name, each tensors (x, y), a `Dataset`
                or a `DataLoader` (read once, into memory): x of shape (n, *input_shape), prepared as the networks know
                it, any type of number: whole numbers (int8 to int64) reach a model that reads such as int64, all
                others in the networks' type; y of shape (n,), whole numbers from 0, or what the objective takes.
            device: where to compute.
            batch_size: samples a batch; by default from the size of the model's activations.
            advance: called with the number of samples done, for a progress bar.
            recompute_on: the split over whose inputs every network's batch-norm statistics are computed anew before
                it is evaluated; by default networks are taken with the statistics they have.
            integers: whether binary networks are evaluated by products of whole numbers of eight bits, which gives the
                same bits; by default where a trial on the first network finds it faster.
            objective: what networks are held against; by default what the data says, which is classification where
                nothing else is.
            precision: in which numbers networks in float32 are computed, "float32", "tf32" (on a CPU the same) or
                "bf16"; or an `Arithmetic`, which counts what that changes, for several evaluators.

        Raises:
            DataError: if the data are no splits, their shapes or types are wrong, inputs are not finite, or labels out
                of the range that the model decides between.
            ModelError: if the model does not return what the objective takes, or the precision is not for it.
        """
        check_kind("model", model, nn.Module, "give an nn.Module, such as build_model returns", ModelError)
        if batch_size is not None:
            check_whole("batch_size", batch_size, ModelError, least=1)
        self.device = device_of(device)
        self.model = model.eval()
        self.arithmetic = precision if isinstance(precision, Arithmetic) else Arithmetic(precision)
        self.arithmetic.check(self.model)
        splits = named_splits(data, self.model, objective)
        self.objective = next(iter(splits.values())).objective
        if recompute_on is not None:
            check_name(recompute_on, splits)
        shapes = {split.x.shape[1:]: (name, split.x[:2]) for name, split in reversed(splits.items())}
        returned: dict[torch.Size, Tensor] = {}
        for shape, (name, examples) in reversed(shapes.items()):
            with errors_of_forward(f"inputs of the split {name!r}, shape {tuple(examples.shape[1:])}"):
                work, kernels, returned[shape] = run_once(self.model, examples, self.objective)
        for name, split in splits.items():
            self.objective.check_fit(f"the split {name!r}", returned[split.x.shape[1:]], split.y)
        short = self.arithmetic.precision is not Precision.FLOAT32
        self._lay_out = layout_for(self.model, self.device, short=short)
        self.splits = {
            name: replace(split, x=self._lay_out(split.x.to(self.device)), y=split.y.to(self.device))
            for name, split in splits.items()
        }
        has_error, fractions = self.objective.has_error, self.objective.counted_in.is_floating_point
        self.facts = {
            name: SplitFacts(self.objective.count(split.y), has_error, self.objective.variance(split.y), fractions)
            for name, split in self.splits.items()
        }
        self.samples = sum(len(split.y) for split in self.splits.values())
        self._constants = {name: buffer.to(self.device) for name, buffer in unsaved_buffers(self.model).items()}
        self.advance = advance
        self.recompute_on = recompute_on
        self._kinds = _kinds(self.model.state_dict())
        places = any(outputs.ndim > 2 for outputs in returned.values())
        weights = sum(tensor.nbytes for tensor in self.model.state_dict().values())
        least = 1 if places else LEAST_SAMPLES
        self.batch_size = batch_size or fitting_batch(work, self.device, least=least, weights=weights)
        samples = min(self.batch_size, max(len(split.y) for split in self.splits.values()))
        self._together = networks_together(work, samples, self.device)
        usual = self.device.type != "cpu" or self.arithmetic.precision is Precision.BF16
        self._kernels = Kernels() if usual else kernels
        self._runner = choose_runner(
            self.model,
            self.splits,
            self.objective,
            batch_size=self.batch_size,
            integers=integers,
            work=work,
            arithmetic=self.arithmetic,
            kernels=self._kernels,
        )

    @property
    def quantity(self) -> Quantity:
        """What measurements by this evaluator are of."""
        return quantity_of(self.facts)

    def together(self, params: Params) -> int:
        """Return how many networks like this one are taken at a time."""
        size = sum(tensor.numel() * tensor.element_size() for tensor in params.values())
        return min(self._together, max(1, NETWORK_BYTES.get(self.device.type, NETWORK_BYTES["cpu"]) // max(1, size)))

    def block(self, params: Params) -> int:
        """Return how many networks have to be taken together for the same bits: on a CPU each may be alone."""
        alone = self.device.type == "cpu" and self.arithmetic.precision is Precision.FLOAT32
        return 1 if alone else self.together(params)

    def on(self, model: nn.Module) -> Evaluator:
        """Return an evaluator of another model, or of another form of the same, on the same data.

        Raises:
            DataError, ModelError: if they do not fit each other.
        """
        return Evaluator(
            model,
            self.splits,
            device=self.device,
            batch_size=self.batch_size,
            advance=self.advance,
            recompute_on=self.recompute_on,
            objective=self.objective,
            precision=self.arithmetic,
        )

    def error(self, networks: Iterable[Params], split: str | None = None) -> Tensor:
        """Return the fraction of wrong decisions on `split` (default: the first), as `Scores.error`.

        Raises:
            DataError: if there is no such split.
            ModelError: if a network does not fit the model.
        """
        name = next(iter(self.splits)) if split is None else check_name(split, self.splits)
        return self._scores(networks, {name: self.splits[name]})[name].error

    def evaluate(self, networks: Iterable[Params]) -> dict[str, Scores]:
        """Return the scores of every network on every split; `networks` is read once, a few at a time.

        Raises:
            ModelError: if a network does not fit the model.
        """
        return self._scores(networks, self.splits)

    @torch.inference_mode()
    def predictions(self, params: Params, split: str) -> Tensor:
        """Return the class that one network decides for, shape (samples,), int64, on the CPU; UNDECIDED for NaN.

        Where a sample has several decisions, they follow one another, as in `objective.labels`.

        Raises:
            DataError: if there is no such split, or the objective has no decisions.
            ModelError: if the network does not fit the model.
        """
        self.model.eval()
        check_name(split, self.splits)
        outputs_on = self._runner.load([self._prepare(params)])
        rows = [self.objective.rows(next(iter(outputs_on(batch))), batch.y)[0] for batch in self._batches(split)]
        return torch.cat([decide(each) for each in rows]).cpu()

    @torch.inference_mode()
    def logits(self, networks: Sequence[Params], split: str) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the logits of all networks, shape (networks, decisions, outputs), and the labels, batch by batch.

        Raises:
            DataError: if there is no such split, or the objective has no decisions.
            ModelError: if a network does not fit the model.
        """
        self.model.eval()
        check_name(split, self.splits)
        outputs_on = self._runner.load([self._prepare(params) for params in networks])
        for batch in self._batches(split):
            rows = [self.objective.rows(outputs, batch.y) for outputs in outputs_on(batch)]
            logits = [each if each.dtype == torch.float64 else each.float() for each, _ in rows]
            yield torch.stack(logits), rows[0][1]

    @torch.inference_mode()
    def _scores(self, networks: Iterable[Params], splits: Mapping[str, Split]) -> dict[str, Scores]:
        self.model.eval()  # again: training may have gone on with it since
        tallies = {name: Tally(self.objective, self.device) for name in splits}
        for chunk in self._chunks(networks):
            for tally in tallies.values():
                tally.extend(len(chunk))
            outputs_on = self._runner.load(chunk)
            for name, tally in tallies.items():
                for batch in self._batches(name):
                    for samples in tally.add(outputs_on(batch), batch.y):
                        if self.advance is not None:
                            self.advance(samples)
        return {name: tally.scores(self.facts[name]) for name, tally in tallies.items()}

    def _chunks(self, networks: Iterable[Params]) -> Iterator[list[Params]]:
        """Yield lists of networks, ready to run, that together stay within the memory allowed."""
        if isinstance(networks, Mapping):
            raise ModelError("expected networks, one after another, not a single one: put it in a list")
        check_kind("networks", networks, Iterable, "give networks, one after another, as a list does", ModelError)
        source = iter(networks)
        for first in source:
            self._check_fits(first)
            yield [self._prepare(params) for params in (first, *islice(source, self.together(first) - 1))]

    def _check_fits(self, params: Params) -> None:
        """Check names and shapes against the model's; all else there is to check of files is where they are read.

        Raises:
            ModelError: if they do not fit.
        """
        if not isinstance(params, Mapping):
            raise ModelError(f"expected networks, tensors by name, not a {type(params).__name__}")
        check_tensors(params)
        if _kinds(params) != self._kinds:
            check_params(self.model, params)

    def _prepare(self, params: Params) -> Params:
        """Return a network on the device, with recomputed statistics if they are asked for, and the model's tables."""
        self._check_fits(params)
        first = self._kernels.channels_first
        tensors = {name: tensor.to(self.device) for name, tensor in params.items()}
        network: Params = {
            name: tensor.contiguous() if name in first else self._lay_out(tensor) for name, tensor in tensors.items()
        }
        if self.recompute_on is not None:
            inputs = self.splits[self.recompute_on].x
            network = recompute_statistics(self.model, network, inputs, advance=self.advance)
        constants = cast_floats(self._constants, float_type(network), self.device)
        return with_tensors(params, {**constants, **network})

    def _batches(self, name: str) -> Iterator[Batch]:
        """Yield a split in batches, in its order."""
        split = self.splits[name]
        for start in range(0, len(split.y), self.batch_size):
            stop = start + self.batch_size
            yield Batch(name, start, split.x[start:stop], split.y[start:stop])


def evaluator_of(
    model: Evaluator | nn.Module,
    data: Data | None,
    *,
    device: torch.device | str = "cpu",
    advance: Callable[[int], None] | None = None,
    precision: str = Precision.FLOAT32,
) -> Evaluator:
    """Return an evaluator as it is, or else one of a model on data.

    Raises:
        DataError: if there is no data with a model, or some with an evaluator, which has its own.
        ModelError: if there is no model, or a precision with an evaluator, which has its own.
    """
    if isinstance(model, Evaluator):
        if data is not None:
            raise DataError("an Evaluator has its data already: leave out `data=`, or give the model in its place")
        if precision != Precision.FLOAT32:
            raise ModelError("an Evaluator has its precision already: leave out `precision=`, or give it to that")
        return model
    check_kind("model", model, nn.Module, "give an nn.Module, or an Evaluator, before the networks", ModelError)
    if data is None:
        raise DataError("there is nothing to measure on: give an Evaluator, or a model and `data=`")
    return Evaluator(model, data, device=device, advance=advance, precision=precision)


def _kinds(params: Params) -> dict[str, tuple[torch.Size, bool]]:
    """Return the shape of each tensor, and whether it holds floating-point numbers."""
    return {name: (tensor.shape, tensor.is_floating_point()) for name, tensor in params.items()}
