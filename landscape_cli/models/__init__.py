"""The registry of models, models from elsewhere, and how a checkpoint becomes a network."""

from landscape_cli.models.factories import allow_code
from landscape_cli.models.fitting import check_params, fit_tensors, load_params
from landscape_cli.models.registry import (
    MODELS,
    build_model,
    construct_template,
    create_model,
    default_arguments,
    find_spec,
    full_arguments,
    is_request_for,
)
from landscape_cli.models.request import ModelRequest, format_request, needs_code, parse_request

__all__ = [
    "MODELS",
    "ModelRequest",
    "allow_code",
    "build_model",
    "check_params",
    "construct_template",
    "create_model",
    "default_arguments",
    "find_spec",
    "fit_tensors",
    "format_request",
    "full_arguments",
    "is_request_for",
    "load_params",
    "needs_code",
    "parse_request",
]
