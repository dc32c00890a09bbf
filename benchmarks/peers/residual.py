"""The small residual networks of `cnn.networks.residual`, in PyTorch."""

import torch  # pyright: ignore[reportMissingImports]

from benchmarks.peers import layers
from benchmarks.peers.classification import Classifier
from cnn import backbones
from cnn.networks import residual

functional = torch.nn.functional


class ResidualBlock(torch.nn.Module):
    """Two normalised convolutions beside the identity, or beside a normalised 1x1 convolution."""

    def __init__(self, ours: backbones.ResidualBlock):
        super().__init__()
        self.first = layers.normalised(ours.first)
        self.second = layers.normalised(ours.second)
        self.shortcut = (
            torch.nn.Identity() if ours.shortcut is None else layers.normalised(ours.shortcut)
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features `[batch, out_channels, out_height, out_width]`.

        Args:
            features: `[batch, in_channels, height, width]`.
        """
        total = self.second(functional.relu(self.first(features), inplace=True))
        total += self.shortcut(features)
        return functional.relu(total, inplace=True)


class ResidualNetwork(Classifier):
    """Stages of residual blocks, the mean over all places, a linear classifier.

    Args:
        model: The model whose architecture and parameters are copied.
    """

    def __init__(self, model: residual.ResidualNetwork):
        super().__init__()
        self.convolution = layers.normalised(model.backbone.convolution)
        self.blocks = torch.nn.Sequential(*map(ResidualBlock, model.backbone.blocks))
        self.classifier = layers.linear(model.classifier)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits `[batch, classes]` of images `[batch, channels, height, width]` in [0, 1]."""
        features = functional.relu(self.convolution(images), inplace=True)
        return self.classifier(self.blocks(features).mean((2, 3)))
