"""The registry of models, and how a checkpoint becomes a network."""

from landscape_cli.models.registry import MODELS, build_model, check_params, create_model

__all__ = ["MODELS", "build_model", "check_params", "create_model"]
