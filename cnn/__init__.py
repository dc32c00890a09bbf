"""Plain convolutional vocabulary: convolution, pooling, loss, baseline networks."""

from cnn.convolution import Convolution, convolve
from cnn.dense_layers import dense
from cnn.losses import classification_loss
from cnn.networks.plain import ConvolutionalNetwork, ConvolutionalNetworkConfig
from cnn.output import Output, Views, Warp
from cnn.parameter_budget import count_parameters, match_width
from cnn.pooling import pool

__all__ = [
    "Convolution",
    "ConvolutionalNetwork",
    "ConvolutionalNetworkConfig",
    "Output",
    "Views",
    "Warp",
    "classification_loss",
    "convolve",
    "count_parameters",
    "dense",
    "match_width",
    "pool",
]
