"""Binary networks: layers of signs, and evaluating them in whole numbers."""

from landscape_cli.binary.layers import FixedPoint, Outputs, Sign, SignConv2d, SignLinear, Vote, binarize

__all__ = ["FixedPoint", "Outputs", "Sign", "SignConv2d", "SignLinear", "Vote", "binarize"]
