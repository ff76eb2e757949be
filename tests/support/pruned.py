"""Networks whose weights are made of parts: pruned, or by weight norm and other reparametrisations; and plain ones."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

SHAPE = (1, 8, 8)
Wrap = Callable[[nn.Module], nn.Module]


def net(wrap: Wrap = lambda layer: layer, *, bn: bool = False) -> nn.Sequential:
    """Return a convolution, a hidden layer and an output layer, each as `wrap` makes it."""
    return nn.Sequential(
        wrap(nn.Conv2d(1, 6, 3)),
        nn.BatchNorm2d(6) if bn else nn.Identity(),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        wrap(nn.Linear(54, 12)),
        nn.ReLU(),
        wrap(nn.Linear(12, 4)),
    )


def mlp(wrap: Wrap = lambda layer: layer) -> nn.Sequential:
    """Return a network of two hidden layers."""
    sizes = (64, 10, 8)
    hidden = [part for a, b in pairwise(sizes) for part in (wrap(nn.Linear(a, b)), nn.ReLU())]
    return nn.Sequential(nn.Flatten(), *hidden, wrap(nn.Linear(8, 4)))


class MaskedLinear(nn.Module):
    """A fully connected layer that multiplies its weight by a buffer, of the weight's shape or of one a unit.

    Or, once `masking` is another, that masks it otherwise.
    """

    masking: Callable[[Tensor, Tensor], Tensor] = staticmethod(torch.mul)

    def __init__(self, inputs: int, outputs: int, *, rows: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.randn(outputs))
        self.register_buffer("keep", (torch.rand(outputs, 1 if rows else inputs) < 0.6).float())

    def forward(self, x: Tensor) -> Tensor:
        keep: Tensor = self.keep  # type: ignore[assignment]
        return nn.functional.linear(x, self.masking(self.weight, keep), self.bias)


def by_hand() -> nn.Sequential:
    """Return a network of such layers."""
    return nn.Sequential(MaskedLinear(5, 9), nn.ReLU(), MaskedLinear(9, 7, rows=True), nn.Tanh(), MaskedLinear(7, 3))


def weighted(model: nn.Module) -> list[nn.Module]:
    return [module for module in model.modules() if isinstance(module, nn.Linear | nn.Conv2d)]


def _unstructured(model: nn.Module) -> None:
    for module in weighted(model):
        prune.random_unstructured(module, "weight", 0.5)


def _l1(model: nn.Module) -> None:
    for module in weighted(model):
        prune.l1_unstructured(module, "weight", 0.6)


def _structured(model: nn.Module) -> None:
    """Prune whole units, so that they are degenerate."""
    for module in weighted(model)[:-1]:
        prune.ln_structured(module, "weight", 0.3, n=2, dim=0)
    prune.identity(weighted(model)[-1], "weight")


def _globally(model: nn.Module) -> None:
    prune.global_unstructured(
        [(module, "weight") for module in weighted(model)], pruning_method=prune.L1Unstructured, amount=0.6
    )


def _twice(model: nn.Module) -> None:
    _l1(model)
    _unstructured(model)


PRUNINGS: Mapping[str, Callable[[nn.Module], None]] = {
    "unstructured": _unstructured,
    "L1": _l1,
    "structured": _structured,
    "global": _globally,
    "twice": _twice,
}
MODELS: Mapping[str, Callable[[], nn.Sequential]] = {"mlp": mlp, "conv": net, "batch norm": lambda: net(bn=True)}


def _old(name: str) -> Wrap:
    def wrap(layer: nn.Module) -> nn.Module:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            wrapped: nn.Module = getattr(nn.utils, name)(layer)
        return wrapped

    return wrap


WRAPS: Mapping[str, Wrap] = {
    "weight norm, hook": _old("weight_norm"),
    "weight norm": parametrizations.weight_norm,
    "weight norm, one length": lambda layer: parametrizations.weight_norm(layer, dim=None),  # type: ignore[arg-type]
    "spectral norm, hook": _old("spectral_norm"),
    "spectral norm": parametrizations.spectral_norm,
    "orthogonal": parametrizations.orthogonal,
}


def pruned(model: str, pruning: str, seed: int = 0) -> nn.Sequential:
    """Return a pruned network in evaluation mode, its numbers all random, the hidden ones too."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = MODELS[model]()
        PRUNINGS[pruning](made)
        return randomized(made)


def wrapped(wrap: str, seed: int = 0) -> nn.Sequential:
    """Return a reparametrised network in evaluation mode, after some steps of power iteration."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = net(WRAPS[wrap])
        made(torch.randn(4, *SHAPE))
        return randomized(made)


def randomized(model: nn.Sequential) -> nn.Sequential:
    """Add noise to all parameters but those of orthogonal layers, and to batch-norm's statistics."""
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if ".base" not in name:
                tensor.add_(0.1 * torch.randn(tensor.shape))
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2.0)
    return model.double().eval()


def tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return a model's network."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def burnt_in(network: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a pruned network as a plain one, by the names that PyTorch gives: what is to come out otherwise too."""
    burnt = {}
    for name, tensor in network.items():
        if name.endswith("_orig"):
            burnt[name.removesuffix("_orig")] = tensor * network[f"{name.removesuffix('_orig')}_mask"]
        elif not name.endswith("_mask"):
            burnt[name] = tensor
    return burnt


def masks_of(network: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in network.items() if name.endswith(("_mask", ".keep"))}


def factory(wrap: str = "plain", *, bn: bool = False) -> nn.Module:
    """Return a new network whose layers are reparametrised so; "pruned" ones have masks of ones."""
    wraps = {"pruned": lambda layer: prune.identity(layer, "weight"), "plain": lambda layer: layer, **WRAPS}
    return net(wraps[wrap], bn=bn)
