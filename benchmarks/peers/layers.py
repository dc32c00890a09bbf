"""PyTorch layers with the parameters of ours, in the memory layout that PyTorch is fastest in.

Feature maps are NCHW to PyTorch's functions and channels-last in memory: its CPU convolutions and
poolings are faster so, and flattening them in the order of our NHWC costs nothing.
"""

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from flax import nnx

from cnn import Convolution


def tensor(parameter: nnx.Param) -> torch.Tensor:
    """A copy of a parameter, in its shape."""
    return torch.tensor(np.asarray(parameter[...]))


def convolution(ours: Convolution, bias: nnx.Param | None = None) -> torch.nn.Conv2d:
    """A convolution with copies of the parameters of ours, OIHW from HWIO.

    Args:
        ours: The layer to copy.
        bias: Of `[out_channels]`, for a layer that has its bias elsewhere; None takes its own.
    """
    weight = tensor(ours.kernel).permute(3, 2, 0, 1)
    out_channels, in_channels, height, width = weight.shape
    bias = bias or ours.bias
    layer = torch.nn.Conv2d(
        in_channels,
        out_channels,
        (height, width),
        stride=ours.strides,
        padding=ours.padding.lower(),
        bias=bias is not None,
    )
    layer.weight = torch.nn.Parameter(weight.contiguous(memory_format=torch.channels_last))
    if bias is not None:
        layer.bias = torch.nn.Parameter(tensor(bias))
    return layer


def linear(ours: nnx.Linear) -> torch.nn.Linear:
    """A dense layer with copies of the parameters of ours, `[out, in]` from `[in, out]`."""
    layer = torch.nn.Linear(ours.in_features, ours.out_features)
    layer.weight = torch.nn.Parameter(tensor(ours.kernel).T.contiguous())
    if ours.bias is not None:
        layer.bias = torch.nn.Parameter(tensor(ours.bias))
    return layer


def flatten(features: torch.Tensor) -> torch.Tensor:
    """`[batch, channels, height, width]` to `[batch, height * width * channels]`, our order."""
    return features.permute(0, 2, 3, 1).flatten(1)
