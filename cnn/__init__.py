"""Plain convolutional vocabulary: convolution, pooling, loss, baseline networks."""

from cnn.convolution import Convolution, convolve
from cnn.decoder import DeconvolutionDecoder, DenseDecoder
from cnn.dense_layers import dense
from cnn.losses import classification_loss
from cnn.networks.bag_of_parts import BagOfPartsConfig
from cnn.networks.compact_transformer import CompactTransformerConfig
from cnn.networks.multi_label import MultiLabelNetworkConfig
from cnn.networks.oriented_gradients import OrientedGradientsConfig
from cnn.networks.plain import ConvolutionalNetwork, ConvolutionalNetworkConfig
from cnn.networks.pooling import PoolingNetworkConfig
from cnn.networks.reconstructing import ReconstructingNetworkConfig
from cnn.networks.residual import ResidualNetworkConfig
from cnn.output import Output, Views, Warp
from cnn.parameter_budget import count_parameters, match_width
from cnn.pooling import pool

__all__ = [
    "BagOfPartsConfig",
    "CompactTransformerConfig",
    "Convolution",
    "ConvolutionalNetwork",
    "ConvolutionalNetworkConfig",
    "DeconvolutionDecoder",
    "DenseDecoder",
    "MultiLabelNetworkConfig",
    "OrientedGradientsConfig",
    "Output",
    "PoolingNetworkConfig",
    "ReconstructingNetworkConfig",
    "ResidualNetworkConfig",
    "Views",
    "Warp",
    "classification_loss",
    "convolve",
    "count_parameters",
    "dense",
    "match_width",
    "pool",
]
