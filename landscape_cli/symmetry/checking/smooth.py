"""How a model runs while gradients are to say how its outputs change."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

EPSILON = 1e-3


class Smooth(TorchFunctionMode):
    """Lets gradients be those of what is computed, for many networks at once.

    Normalises by the batch wherever running statistics would be used, and notes which tensors these are. Cuts no
    gradient off where a model does. Runs recurrent kernels, which take one network, step by step.

    Softly, a ReLU's gradient at 0 is one half, and what is normalised by the batch is so with an ε.

    Attributes:
        has_steps: whether an operator without a derivative was met: its outputs are taken for steps, as of a sign.
    """

    def __init__(self, statistics: set[int], *, soft: bool = False) -> None:
        super().__init__()
        self._soft, self.has_steps = soft, False
        self._statistics = statistics

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = dict(enumerate(args)) | (kwargs or {})
        if func in _PLACES:
            of: dict[str, Any] = {name: given.get(name, given.get(place)) for name, place in _PLACES[func].items()}
            if of["running_mean"] is not None and not of["training"]:
                self._statistics |= {id(of["running_mean"]), id(of["running_var"])}
                return torch.batch_norm(
                    of["input"], of["weight"], of["bias"], None, None, True, 0.0, EPSILON * self._soft, False
                )
        if self._soft and func in _RELUS:
            x = args[0].clone()
            y = (x + x.abs()) / 2
            return args[0].copy_(y) if func in _IN_PLACE or given.get("inplace", given.get(1)) else y
        if func in _CUTS:
            return args[0]
        if func is torch._C._set_grad_enabled and not args[0]:
            return None
        if func in _RECURRENT and isinstance(args[2], list | tuple):  # not packed sequences
            return _RECURRENT[func].decompose(*args)
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and type(result.grad_fn).__name__ == "NotImplemented":
            self.has_steps = True
            return result.detach()
        return result


_OF_TORCH = {"input": 0, "weight": 1, "bias": 2, "running_mean": 3, "running_var": 4, "training": 5}
_OF_FUNCTIONAL = {"input": 0, "running_mean": 1, "running_var": 2, "weight": 3, "bias": 4, "training": 5}
_PLACES: dict[Any, dict[str, int]] = {
    torch.batch_norm: _OF_TORCH,
    torch.instance_norm: _OF_TORCH,
    F.batch_norm: _OF_FUNCTIONAL,
    F.instance_norm: _OF_FUNCTIONAL,
}
"""Where functions that normalise by statistics have what: an instance-norm uses those of the input instead if told."""
_IN_PLACE: set[Any] = {torch.relu_, Tensor.relu_}
_RELUS: set[Any] = {torch.relu, Tensor.relu, F.relu} | _IN_PLACE
_CUTS: set[Any] = {Tensor.detach, torch.detach, Tensor.data.__get__}  # type: ignore[attr-defined] # the class's is a descriptor
_RECURRENT: dict[Any, Any] = {
    torch.lstm: torch.ops.aten.lstm.input,
    torch.gru: torch.ops.aten.gru.input,
    torch.rnn_tanh: torch.ops.aten.rnn_tanh.input,
    torch.rnn_relu: torch.ops.aten.rnn_relu.input,
}
