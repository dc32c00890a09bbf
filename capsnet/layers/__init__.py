"""Capsule layers: from feature maps to primary capsules, and from capsules to capsules."""

from capsnet.layers.convolutional import ConvolutionalCapsules, RoutedMap
from capsnet.layers.dense import DenseCapsules
from capsnet.layers.depthwise import DepthwiseCapsules
from capsnet.layers.initializers import Initializer
from capsnet.layers.primary import PrimaryCapsules

__all__ = [
    "ConvolutionalCapsules",
    "DenseCapsules",
    "DepthwiseCapsules",
    "Initializer",
    "PrimaryCapsules",
    "RoutedMap",
]
