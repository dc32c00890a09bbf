"""The networks of `equivariant.networks.cohen_welling` over quarter turns, in PyTorch.

The turns of a channel stand side by side: a map over the group is `[batch, channels * turns,
height, width]`, as that of an ordinary convolution.
"""

import torch  # pyright: ignore[reportMissingImports]

from benchmarks.peers import layers
from benchmarks.peers.classification import Classifier
from equivariant.group_convolution import OrientedConvolution
from equivariant.groups import P4, TRIVIAL
from equivariant.networks import cohen_welling

functional = torch.nn.functional


class GroupConvolution(torch.nn.Module):
    """A convolution of images, or of maps over the group, with filters turned by every quarter.

    Args:
        ours: The layer to copy.

    Raises:
        ValueError: if its group has other elements, or it has no bias.
    """

    def __init__(self, ours: OrientedConvolution):
        super().__init__()
        if ours.group not in (TRIVIAL, P4) or ours.bias is None:
            raise ValueError(
                "the peer of a group convolution has quarter turns or none, and a bias"
            )
        self.turns, self.in_turns = ours.group.size, ours.kernel.shape[1]
        weights = layers.tensor(ours.kernel).permute(3, 2, 1, 0)
        filters = weights.unflatten(3, (ours.kernel_size, ours.kernel_size)).flatten(1, 2)
        self.weight = torch.nn.Parameter(filters.contiguous())
        self.bias = torch.nn.Parameter(layers.tensor(ours.bias))
        self.padding = ours.padding.lower()

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps `[batch, out_channels * turns, out_height, out_width]` over the group.

        Args:
            maps: `[batch, in_channels * in_turns, height, width]`.
        """
        filters = self.weight.unflatten(1, (-1, self.in_turns))
        turned = [filters.rot90(turn, (3, 4)).roll(turn, 2) for turn in range(self.turns)]
        kernel = torch.stack(turned, 1).flatten(0, 1).flatten(1, 2)
        bias = self.bias.repeat_interleave(self.turns)
        return functional.conv2d(maps, kernel, bias, padding=self.padding)


class Layer(torch.nn.Module):
    """A convolution, batch normalisation that all turns share, and a ReLU."""

    def __init__(self, ours: cohen_welling.Layer):
        super().__init__()
        self.convolution = GroupConvolution(ours.convolution)
        self.norm = layers.normalisation(ours.norm, torch.nn.BatchNorm3d)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps `[batch, channels * turns, height, width]` of images or maps."""
        maps = self.convolution(maps).unflatten(1, (-1, self.convolution.turns))
        return functional.relu(self.norm(maps), inplace=True).flatten(1, 2)


class GroupNetwork(Classifier):
    """Group convolutions with normalisation, one pooling, and a convolution to the classes.

    Args:
        model: The model whose architecture and parameters are copied.

    Raises:
        ValueError: if its group has reflections.
    """

    def __init__(self, model: cohen_welling.GroupNetwork):
        super().__init__()
        self.mean, self.deviation = model.mean, model.deviation
        self.layers = torch.nn.ModuleList(map(Layer, model.layers))
        self.dropout = torch.nn.Dropout(model.dropout.rate)
        self.classifier = GroupConvolution(model.classifier)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits `[batch, classes]` of images `[batch, channels, height, width]` in [0, 1]."""
        maps = (images - self.mean) / self.deviation
        for number, layer in enumerate(self.layers, start=1):
            maps = layer(maps)
            maps = functional.max_pool2d(maps, 2) if number == 2 else self.dropout(maps)
        logits = self.classifier(maps).unflatten(1, (-1, self.classifier.turns))
        return logits.amax((2, 3, 4))
