"""Capsule layers: from feature maps to primary capsules, and from those to class capsules."""

from capsnet.layers.dense import ClassCapsules
from capsnet.layers.initializers import Initializer
from capsnet.layers.primary import PrimaryCapsules

__all__ = ["ClassCapsules", "Initializer", "PrimaryCapsules"]
