"""Models of other libraries to put to the proof: torchvision's, of each family of timm one, small ones of transformers.

A zoo lists names, and builds a model by its name, with an example of its inputs; it imports what it needs when it does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from landscape_cli.torchvision_compat import import_torchvision

Built = tuple[nn.Module, Tensor]

ARGUMENTS = {"googlenet": {"init_weights": False}, "inception_v3": {"init_weights": False}}
SIDES = {"inception_v3": 299}
SIDE = 64
"""Of images for models of timm that take any size."""
OF_BLOCKS = ("bat_", "halo", "lamhalo", "sehalo")
"""How models of timm are called that attend within blocks of 8 x 8 pixels, so that small images do not do."""
SIZE_WORDS = [
    "test",
    "zepto",
    "atto",
    "femto",
    "pico",
    "nano",
    "xxsmall",
    "xxs",
    "xxtiny",
    "xtiny",
    "tiny",
    "mini",
    "xs",
    "xsmall",
    "micro",
    "small",
    "s0",
    "lite",
]
TEXTS = [
    "albert",
    "bert",
    "big_bird",
    "biogpt",
    "bloom",
    "camembert",
    "codegen",
    "cohere",
    "convbert",
    "ctrl",
    "deberta-v2",
    "distilbert",
    "electra",
    "ernie",
    "falcon",
    "fnet",
    "gemma",
    "gemma2",
    "gemma3_text",
    "gpt2",
    "gpt_bigcode",
    "gpt_neo",
    "gpt_neox",
    "gptj",
    "gpt_oss",
    "granite",
    "granitemoe",
    "jamba",
    "llama",
    "mamba",
    "mistral",
    "mixtral",
    "mobilebert",
    "modernbert",
    "mpnet",
    "mpt",
    "nystromformer",
    "olmo",
    "olmo2",
    "olmoe",
    "openai-gpt",
    "opt",
    "persimmon",
    "phi",
    "phi3",
    "qwen2",
    "qwen2_moe",
    "qwen3",
    "qwen3_moe",
    "rembert",
    "roberta",
    "roformer",
    "squeezebert",
    "stablelm",
    "starcoder2",
    "xglm",
    "xlm",
]
IMAGES = [
    "beit",
    "dinov2",
    "poolformer",
    "regnet",
    "resnet",
    "segformer",
    "swin",
    "vit",
    "vit_msn",
]
TINY: dict[str, Any] = {
    "vocab_size": 40,
    "hidden_size": 16,
    "n_embd": 16,
    "d_model": 16,
    "dim": 16,
    "emb_dim": 16,
    "embedding_size": 16,
    "n_positions": 32,
    "n_ctx": 32,
    "max_position_embeddings": 32,
    "max_seq_len": 32,
    "num_hidden_layers": 2,
    "n_layer": 2,
    "n_layers": 2,
    "num_layers": 2,
    "num_attention_heads": 4,
    "n_head": 4,
    "n_heads": 4,
    "num_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 4,
    "intermediate_size": 24,
    "ffn_dim": 24,
    "hidden_dim": 24,
    "n_inner": 24,
    "dff": 24,
    "moe_intermediate_size": 12,
    "shared_expert_intermediate_size": 12,
    "num_experts": 3,
    "num_local_experts": 3,
    "num_experts_per_tok": 3,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "image_size": 32,
    "patch_size": 8,
    "attention_types": [[["global", "local"], 1]],
    "rotary_dim": 4,
    "true_hidden_size": 16,
    "intra_bottleneck_size": 16,
    "sliding_window": 8,
    "state_size": 4,
    "sp_mid_size": 8,
}
"""Sizes of small models, where a configuration has a number of that name."""


SPECIAL: dict[str, dict[str, Any]] = {
    "convnext": {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 12, 16, 20], "num_stages": 4},
    "convnextv2": {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 12, 16, 20], "num_stages": 4},
    "swin": {
        "embed_dim": 8,
        "depths": [2, 2],
        "num_heads": [2, 2],
        "image_size": 32,
        "patch_size": 4,
        "window_size": 4,
    },
    "resnet": {"embedding_size": 8, "hidden_sizes": [12, 16], "depths": [1, 1], "num_stages": 2},
    "regnet": {"embedding_size": 8, "hidden_sizes": [12, 16], "depths": [1, 1], "groups_width": 4, "num_stages": 2},
    "poolformer": {"hidden_sizes": [8, 12, 16, 20], "depths": [1, 1, 1, 1]},
    "stablelm": {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5}},
}
"""What some configurations need besides."""
ROUTED = ["gpt_oss", "granitemoe", "jamba", "mixtral", "olmoe", "qwen2_moe", "qwen3_moe"]
"""What has experts, which are to be computed one by one."""


@dataclass(frozen=True)
class Zoo:
    """A library's models.

    Attributes:
        title: how it is called.
        names: lists the models, smallest first where that is known.
        build: makes one with random weights, and two inputs.
        made_by: the distribution whose version counts.
    """

    title: str
    names: Callable[[], list[str]]
    build: Callable[[str], Built]
    made_by: str


def _torchvision_names() -> list[str]:
    models = import_torchvision("models")
    names: list[str] = models.list_models(module=models)
    return sorted(names, key=lambda name: models.get_model_weights(name).DEFAULT.meta["num_params"])


def _torchvision_model(name: str) -> Built:
    side = SIDES.get(name, 224)
    model: nn.Module = import_torchvision("models").get_model(name, weights=None, **ARGUMENTS.get(name, {}))
    return model, torch.zeros(2, 3, side, side)


def _timm() -> Any:
    import_torchvision("models")  # which timm needs, as it can be imported beside a CPU build of torch
    import timm  # type: ignore[import-not-found, unused-ignore]

    return timm


def _timm_names() -> list[str]:
    """Return of each family, which names begin with, the model whose name says that it is the smallest."""
    models = _timm().models
    families: dict[str, list[str]] = {}
    for module in models.list_modules():
        for name in models.list_models(module=module):
            family = re.sub(r"\d.*", "", name.split("_")[0])
            if family != "test":
                families.setdefault(family, []).append(name)
    return sorted((min(names, key=_size) for names in families.values()), key=_size)


def _size(name: str) -> tuple[int, int, int, str]:
    """Return what sorts models of one family by size, as far as names tell."""
    words = name.split("_")
    rank = min((SIZE_WORDS.index(word) for word in words if word in SIZE_WORDS), default=len(SIZE_WORDS))
    number = re.search(r"\d+", name)
    return rank, int(number[0]) if number else 0, len(name), name


def _timm_model(name: str) -> Built:
    timm = _timm()
    config = timm.get_pretrained_cfg(name)
    as_made = config is None or config.fixed_input_size or name.startswith(OF_BLOCKS)
    side = config.input_size[-1] if as_made else SIDE
    return timm.create_model(name, pretrained=False), torch.zeros(2, 3, side, side)


class Logits(nn.Module):
    """A model of transformers, called for its logits alone."""

    def __init__(self, model: nn.Module, **arguments: Any) -> None:
        super().__init__()
        self.model, self._arguments = model, arguments

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of token ids or images."""
        logits: Tensor = self.model(x, **self._arguments).logits
        return logits


def _transformers_model(name: str) -> Built:
    import_torchvision("models")
    import transformers  # type: ignore[import-not-found, unused-ignore]

    of_images = name in IMAGES
    heads = ["ImageClassification"] if of_images else ["CausalLM", "MaskedLM", "SequenceClassification"]
    kind = transformers.CONFIG_MAPPING[name]
    plain = kind()
    settable = {key: value for key, value in TINY.items() if isinstance(getattr(plain, key, None), int | list)}
    settable = {key: value for key, value in settable.items() if not isinstance(getattr(kind, key, None), property)}
    if hasattr(plain, "depths"):  # whose sizes are lists, a number a stage
        settable.pop("image_size", None)
    routed = {"experts_implementation": "eager"} if name in ROUTED else {}
    config = kind(**settable | routed | SPECIAL.get(name, {}))
    for head in heads:
        auto = getattr(transformers, f"AutoModelFor{head}")
        if type(config) in auto._model_mapping:
            model = auto.from_config(config)
            break
    else:
        raise ValueError(f"{name} has no head that returns logits")
    if of_images:
        side = config.image_size if isinstance(getattr(config, "image_size", None), int) else 64
        return Logits(model), torch.zeros(2, 3, side, side)
    arguments = {"use_cache": False} if hasattr(config, "use_cache") else {}
    tokens = torch.arange(16).reshape(2, 8) + 3
    tokens[0, 0] = TINY["vocab_size"] - 1
    return Logits(model, **arguments), tokens


ZOOS = {
    "torchvision": Zoo("torchvision", _torchvision_names, _torchvision_model, "torchvision"),
    "timm": Zoo("timm", _timm_names, _timm_model, "timm"),
    "transformers": Zoo("transformers", lambda: [*TEXTS, *IMAGES], _transformers_model, "transformers"),
}
