"""Two-dimensional convolution with a choice of lowerings."""

from cnn.convolution.convolution import LOWERINGS, Convolution, convolve, layer_of

__all__ = ["LOWERINGS", "Convolution", "convolve", "layer_of"]
