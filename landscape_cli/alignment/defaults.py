"""What aligning does unless told otherwise; without torch, so that the command line can show it in its help."""

ORDERS = 2
"""Descents of "weight". Measured on VGG16 and ResNet18: those in different orders end within 0.03 % of each other."""
ALIGN_SAMPLES = 2000
"""Training inputs on which "activation" correlates units."""
