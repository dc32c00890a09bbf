"""The polar transformer network of `equivariant.networks.polar`, in PyTorch.

The log-polar map is read by `grid_sample`. Angles go on by a concatenation, which unlike PyTorch's
circular padding keeps channels last in memory, and zeros beyond the radii are the convolutions'.
"""

import numpy as np
import torch  # pyright: ignore[reportMissingImports]

from benchmarks.peers import layers
from benchmarks.peers.classification import Classifier
from equivariant.networks import polar
from equivariant.polar import log_polar_grid

functional = torch.nn.functional

_LEAST_MEAN = 1e-3  # of `equivariant.polar.centroid`
_BEYOND_RADII = (0, 1)


class PolarOrigin(torch.nn.Module):
    """The origin of each image: the centroid of a heat map, moved a little in training."""

    def __init__(self, ours: polar.PolarOrigin):
        super().__init__()
        self.layers = torch.nn.Sequential()
        for layer in ours.layers:
            self.layers.extend([layers.normalised(layer), torch.nn.ReLU(inplace=True)])
        self.heat = layers.convolution(ours.heat)
        self.jitter = ours.jitter

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Origins (x, y) `[batch, 2]`, from -1 to 1 between the edges of the image."""
        heat = self.heat(self.layers(images)).squeeze(1)
        y, x = (_centres(size, heat) for size in heat.shape[1:])
        mean = heat.mean((1, 2))
        mean = torch.where(mean.abs() < _LEAST_MEAN, _LEAST_MEAN, mean)
        moments = [(heat * place).mean((1, 2)) for place in (x, y[:, None])]
        origins = torch.stack(moments, 1) / mean[:, None]
        if not self.training or not self.jitter:
            return origins
        height, width = images.shape[2:]
        moves = torch.empty_like(origins).uniform_(-self.jitter, self.jitter)
        return origins + 2.0 * moves / moves.new_tensor((width, height))


class PolarNetwork(Classifier):
    """A predicted origin, a log-polar map about it, a classifier with angles that go on.

    Args:
        model: The model whose architecture and parameters are copied.
    """

    def __init__(self, model: polar.PolarNetwork):
        super().__init__()
        self.origin = PolarOrigin(model.origin)
        self.layers = torch.nn.ModuleList(
            layers.normalised(layer, _BEYOND_RADII) for layer in model.layers
        )
        self.classifier = layers.convolution(model.classifier, padding=_BEYOND_RADII)
        size = model.image_shape[:2]
        offsets = log_polar_grid(np.zeros((1, 2)), size, size, max_radius=model.max_radius)
        self.register_buffer("offsets", torch.tensor(np.asarray(offsets[0])))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits `[batch, classes]` of images `[batch, channels, height, width]` in [0, 1]."""
        grids = self.origin(images)[:, None, None] + self.offsets
        features = functional.grid_sample(images, grids, align_corners=False)
        for layer in self.layers:
            features = functional.relu(layer(go_on(features)), inplace=True)
        return self.classifier(go_on(features)).mean((2, 3))


def go_on(maps: torch.Tensor) -> torch.Tensor:
    """Maps `[batch, channels, 2 + angles, radii]` whose angles go on by one at both ends."""
    return torch.cat([maps[:, :, -1:], maps, maps[:, :, :1]], 2)


def _centres(size, like):
    """Pixel centres `[size]` along an axis whose edges are at -1 and 1."""
    return (2.0 * torch.arange(size, dtype=like.dtype, device=like.device) + 1.0) / size - 1.0
