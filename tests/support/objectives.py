"""Tiny networks for each objective, with the loss and the error that their owner's own loop gives."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landscape_cli.data.source import Split
from landscape_cli.forward.custom_objective import Custom
from landscape_cli.forward.objective import Objective
from landscape_cli.forward.objectives import CLASSIFICATION, Dense, Multilabel, Regression
from landscape_cli.models import allow_code, create_model
from landscape_cli.network import ModelSpec, Params

VOCABULARY, LENGTH, VOID = 11, 6, 255

Draw = Callable[[Tensor, torch.Generator], Tensor]


class Text(nn.Module):
    """A text classifier: the mean of embeddings, then a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(VOCABULARY, 8)
        self.hidden, self.head = nn.Linear(8, 7), nn.Linear(7, 3)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(F.relu(self.hidden(self.words(ids).mean(dim=1))))


class Language(nn.Module):
    """A causal language model: each token's logits are of that and the one before."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(VOCABULARY, 8)
        self.mix, self.head = nn.Conv1d(8, 9, 2), nn.Linear(9, VOCABULARY)

    def forward(self, ids: Tensor) -> dict[str, Tensor]:
        hidden = F.relu(self.mix(F.pad(self.words(ids).transpose(1, 2), (1, 0))))
        return {"hidden": hidden, "logits": self.head(hidden.transpose(1, 2))}


class UNet(nn.Module):
    """One step down, one up, joined with what was before."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.down, self.bottom = nn.Conv2d(2, 5, 3, padding=1), nn.Conv2d(5, 6, 3, padding=1)
        self.up, self.head = nn.ConvTranspose2d(6, 5, 2, stride=2), nn.Conv2d(10, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        high = F.relu(self.down(x))
        low = F.relu(self.up(F.relu(self.bottom(F.max_pool2d(high, 2)))))
        return self.head(torch.cat([high, low], dim=1))


def rows(outputs: int) -> nn.Module:
    """Return a network from tables to rows of outputs."""
    return nn.Sequential(nn.Linear(5, 9), nn.Tanh(), nn.Linear(9, outputs))


def hinge(outputs: Tensor, y: Tensor, *, margin: float = 1.0) -> Tensor:
    """Return the hinge loss of one output, as users might."""
    return (margin - outputs[:, 0] * (2 * y - 1)).clamp(min=0)


hinge.error = lambda outputs, y: ((outputs[:, 0] > 0) != (y > 0)).double()  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Kind:
    """A network and its objective: how targets are drawn, and the owner's loss and decisions."""

    factory: str
    objective: Objective
    shape: tuple[int, ...]
    targets: Draw
    loss: Callable[[Tensor, Tensor], Tensor]
    error: Callable[[Tensor, Tensor], float]
    tokens: bool = False


def whole(classes: int, *shape: int) -> Draw:
    return lambda x, g: torch.randint(classes, (len(x), *shape), generator=g)


def with_void(
    draw: Callable[[Tensor, torch.Generator], Tensor], void: int
) -> Callable[[Tensor, torch.Generator], Tensor]:
    def drawn(x: Tensor, g: torch.Generator) -> Tensor:
        y = draw(x, g)
        y[torch.rand(y.shape, generator=g) < 0.2] = void
        return y

    return drawn


def fraction(wrong: Tensor) -> float:
    return float(wrong.double().mean())


KINDS = {
    "text": Kind(
        "Text",
        CLASSIFICATION,
        (LENGTH,),
        whole(3),
        F.cross_entropy,
        lambda o, y: fraction(o.argmax(1) != y),
        tokens=True,
    ),
    "language": Kind(
        "Language",
        Dense(class_axis=-1),
        (LENGTH,),
        with_void(whole(VOCABULARY, LENGTH), -100),
        lambda o, y: F.cross_entropy(o.flatten(0, 1), y.flatten()),
        lambda o, y: fraction(o.argmax(-1)[y != -100] != y[y != -100]),
        tokens=True,
    ),
    "pixels": Kind(
        "UNet",
        Dense(ignore_index=VOID),
        (2, 4, 6),
        with_void(whole(3, 4, 6), VOID),
        lambda o, y: F.cross_entropy(o, y, ignore_index=VOID),
        lambda o, y: fraction(o.argmax(1)[y != VOID] != y[y != VOID]),
    ),
    "mask": Kind(
        "UNet?classes=1",
        Dense(),
        (2, 4, 6),
        whole(2, 4, 6),
        lambda o, y: F.binary_cross_entropy_with_logits(o[:, 0], y.to(o.dtype)),
        lambda o, y: fraction((o[:, 0] >= 0) != (y == 1)),
    ),
    "multilabel": Kind(
        "rows?outputs=4",
        Multilabel(),
        (5,),
        whole(2, 4),
        lambda o, y: F.binary_cross_entropy_with_logits(o, y.to(o.dtype)),
        lambda o, y: fraction((o >= 0) != (y == 1)),
    ),
    "regression": Kind(
        "rows?outputs=2",
        Regression(),
        (5,),
        lambda x, g: torch.stack([x[:, 0] * x[:, 1], x[:, 2] + 3], dim=1),
        F.mse_loss,
        lambda o, y: math.nan,
    ),
    "number": Kind(
        "rows?outputs=1",
        Regression(),
        (5,),
        lambda x, g: x.sum(dim=1),
        lambda o, y: F.mse_loss(o[:, 0], y),
        lambda o, y: math.nan,
    ),
    "hinge": Kind(
        "rows?outputs=1",
        Custom(hinge, "tests.support.objectives:hinge"),
        (5,),
        whole(2),
        lambda o, y: F.relu(1 - o[:, 0] * (2 * y - 1)).mean(),
        lambda o, y: fraction((o[:, 0] > 0) != (y == 1)),
    ),
}


@dataclass(frozen=True)
class ObjectiveCase:
    """A new network of a kind, and data for it."""

    kind: Kind
    spec: ModelSpec
    model: nn.Module
    split: Split

    @property
    def params(self) -> Params:
        return {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}

    def outputs(self, params: Params | None = None) -> Tensor:
        """Return the logits of the network, or of another, in float64."""
        tensors = {key: value.double() for key, value in (self.params if params is None else params).items()}
        x = self.split.x if self.kind.tokens else self.split.x.double()
        returned = torch.func.functional_call(self.model, tensors, (x,))
        return returned["logits"] if isinstance(returned, dict) else returned

    def by_hand(self, params: Params | None = None) -> tuple[float, float]:
        """Return the loss and the error of the network, or of another, by one pass over all samples."""
        outputs, y = self.outputs(params), self.split.y
        targets = y.double() if y.is_floating_point() else y
        return float(self.kind.loss(outputs, targets)), self.kind.error(outputs, targets)


def request_of(name: str) -> str:
    """Return how users name the model of a kind."""
    return f"tests.support.objectives:{KINDS[name].factory}"


def make_case(name: str, samples: int = 23, seed: int = 0) -> ObjectiveCase:
    """Return a network of a kind and its data."""
    kind = KINDS[name]
    factory, _, query = kind.factory.partition("?")
    arguments = {key: int(value) for key, _, value in (part.partition("=") for part in query.split("&") if part)}
    allow_code(f"tests.support.objectives:{factory}")
    spec = ModelSpec(f"tests.support.objectives:{factory}", arguments, kind.shape, 3)
    g = torch.Generator().manual_seed(seed)
    if kind.tokens:
        x = torch.randint(VOCABULARY, (samples, *kind.shape), generator=g)
    else:
        x = torch.randn(samples, *kind.shape, generator=g)
    return ObjectiveCase(kind, spec, create_model(spec, seed=seed), Split(x, kind.targets(x, g), kind.objective))
