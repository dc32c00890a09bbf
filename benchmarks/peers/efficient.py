"""Efficient-CapsNet of `capsnet.networks.efficient`, in PyTorch."""

import torch  # pyright: ignore[reportMissingImports]

from benchmarks.peers import layers
from benchmarks.peers.capsnet import CapsuleClassifier, make_votes
from benchmarks.peers.self_attention import SelfAttention, exponential_squash
from capsnet.networks import efficient
from capsnet.routing import self_attention


class EfficientCapsNet(CapsuleClassifier):
    """Convolutions, a depthwise one over the whole map, capsules routed by attention, a decoder.

    Args:
        model: The model whose architecture and parameters are copied.

    Raises:
        ValueError: if it has another routing, or parts that `CapsuleClassifier` has not.
    """

    def __init__(self, model: efficient.EfficientCapsNet):
        super().__init__(model)
        routing = model.class_capsules.routing
        if not isinstance(routing, self_attention.SelfAttention):
            raise ValueError("the peer of an Efficient-CapsNet routes by self-attention")
        self.convolutions = torch.nn.Sequential()
        for layer in model.convolutions:
            self.convolutions.extend(
                [
                    layers.convolution(layer.convolution),
                    torch.nn.ReLU(inplace=True),
                    layers.normalisation(layer.norm),
                ]
            )
        primary = model.primary_capsules
        *size, _, channels = primary.kernel.shape
        depthwise = torch.nn.Conv2d(channels, channels, size, groups=channels)
        kernel = layers.tensor(primary.kernel).permute(3, 2, 0, 1)
        depthwise.weight = torch.nn.Parameter(kernel.contiguous())
        depthwise.bias = torch.nn.Parameter(layers.tensor(primary.bias))
        self.primary_capsules = depthwise
        self.primary_dim = primary.dim
        self.routing = SelfAttention(routing)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Class capsules `[batch, j, d]` of images `[batch, channels, height, width]`."""
        features = self.convolutions(images)
        components = self.primary_capsules(features).flatten(1)
        capsules = exponential_squash(components.unflatten(1, (-1, self.primary_dim)))
        (poses,) = self.routing(make_votes(capsules, self.class_kernel, self.classes))
        return poses
