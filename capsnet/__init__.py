"""Capsule networks: squash, routing, capsule layers, losses and models."""

from capsnet import losses, routing
from capsnet.layers import ConvolutionalCapsules, DenseCapsules, PrimaryCapsules
from capsnet.networks.sabour import CapsNet, CapsNetConfig, paper, sabour_code
from capsnet.vectors import length, squash

__all__ = [
    "CapsNet",
    "CapsNetConfig",
    "ConvolutionalCapsules",
    "DenseCapsules",
    "PrimaryCapsules",
    "length",
    "losses",
    "paper",
    "routing",
    "sabour_code",
    "squash",
]
