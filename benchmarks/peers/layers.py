"""PyTorch layers with the parameters of ours, in the memory layout that PyTorch is fastest in.

Feature maps are NCHW to PyTorch's functions and channels-last in memory: its CPU convolutions and
poolings are faster so, and flattening them in the order of our NHWC costs nothing.
"""

from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from flax import nnx

from cnn import Convolution

functional = torch.nn.functional


class SameConvolution(torch.nn.Conv2d):
    """A convolution that pads as "SAME" of ours, which puts an odd zero at the end.

    With strides, equal padding of both ends, which is all that PyTorch has, reads other pixels.
    """

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features `[batch, out_channels, out_height, out_width]`, sizes over strides, rounded up.

        Args:
            features: `[batch, in_channels, height, width]`.
        """
        sides = zip(features.shape[2:], self.kernel_size, self.stride, strict=True)
        height, width = (
            max((-(-size // stride) - 1) * stride + kernel - size, 0)
            for size, kernel, stride in sides
        )
        if height % 2 or width % 2:
            features = functional.pad(features, (0, width % 2, 0, height % 2))
        padding = (height // 2, width // 2)
        return functional.conv2d(features, self.weight, self.bias, self.stride, padding)


def tensor(variable: Any) -> torch.Tensor:
    """A copy of a parameter or a statistic, in its shape."""
    return torch.tensor(np.asarray(variable[...]))


def convolution(
    ours: Convolution,
    bias: nnx.Param | None = None,
    padding: tuple[int, int] | None = None,
) -> torch.nn.Conv2d:
    """A convolution with copies of the parameters of ours, OIHW from HWIO.

    Args:
        ours: The layer to copy.
        bias: Of `[out_channels]`, for a layer that has its bias elsewhere; None takes its own.
        padding: Zeros at both ends of height and width; None pads as ours.
    """
    weight = tensor(ours.kernel).permute(3, 2, 0, 1)
    out_channels, in_channels, height, width = weight.shape
    bias = bias or ours.bias
    strided = padding is None and ours.padding == "SAME" and ours.strides != (1, 1)
    layer = (SameConvolution if strided else torch.nn.Conv2d)(
        in_channels,
        out_channels,
        (height, width),
        stride=ours.strides,
        padding=0 if strided else padding or ours.padding.lower(),
        bias=bias is not None,
    )
    layer.weight = torch.nn.Parameter(weight.contiguous(memory_format=torch.channels_last))
    if bias is not None:
        layer.bias = torch.nn.Parameter(tensor(bias))
    return layer


def normalisation(
    ours: nnx.BatchNorm, kind: type[torch.nn.Module] = torch.nn.BatchNorm2d
) -> torch.nn.Module:
    """Batch normalisation with copies of the parameters and the running statistics of ours.

    By the batch's statistics in training, by the running ones in inference. PyTorch's running
    variance is that without bias, n / (n - 1) of ours for n values of a channel.

    Args:
        ours: The layer to copy.
        kind: Of `torch.nn`, for the number of axes.
    """
    layer = kind(ours.num_features, eps=ours.epsilon, momentum=1.0 - ours.momentum)
    layer.weight, layer.bias = (
        torch.nn.Parameter(tensor(part)) for part in (ours.scale, ours.bias)
    )
    layer.running_mean, layer.running_var = tensor(ours.mean), tensor(ours.var)
    return layer


def normalised(ours: Any, padding: tuple[int, int] | None = None) -> torch.nn.Sequential:
    """A convolution and batch normalisation.

    Args:
        ours: A module that has them as `convolution` and `norm`.
        padding: See `convolution`.
    """
    return torch.nn.Sequential(
        convolution(ours.convolution, padding=padding), normalisation(ours.norm)
    )


def linear(ours: nnx.Linear) -> torch.nn.Linear:
    """A dense layer with copies of the parameters of ours."""
    return dense(tensor(ours.kernel), None if ours.bias is None else tensor(ours.bias))


def dense(kernel: torch.Tensor, bias: torch.Tensor | None) -> torch.nn.Linear:
    """A dense layer of a kernel `[in, out]` and a bias `[out]`."""
    layer = torch.nn.Linear(*kernel.shape, bias=bias is not None)
    layer.weight = torch.nn.Parameter(kernel.T.contiguous())
    if bias is not None:
        layer.bias = torch.nn.Parameter(bias)
    return layer


def flatten(features: torch.Tensor) -> torch.Tensor:
    """`[batch, channels, height, width]` to `[batch, height * width * channels]`, our order."""
    return features.permute(0, 2, 3, 1).flatten(1)
