"""Plain convolutional vocabulary: convolution lowerings, pooling and the baseline networks."""

from cnn.convolution import Convolution, convolve
from cnn.network import ConvolutionalNetwork, ConvolutionalNetworkConfig, NetworkOutput
from cnn.pooling import pool

__all__ = [
    "Convolution",
    "ConvolutionalNetwork",
    "ConvolutionalNetworkConfig",
    "NetworkOutput",
    "convolve",
    "pool",
]
