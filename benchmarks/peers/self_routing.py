"""The network of `capsnet.networks.self_routing`, in PyTorch."""

import torch  # pyright: ignore[reportMissingImports]

from benchmarks.peers import layers
from capsnet.networks import self_routing
from cnn.output import EPS

functional = torch.nn.functional


class SelfRoutingCapsNet(torch.nn.Module):
    """Convolutions, primary capsules with activations, and classes that these choose themselves.

    Args:
        model: The model whose architecture and parameters are copied.

    Raises:
        ValueError: if there are capsules between those of the primary layer and the classes.
    """

    def __init__(self, model: self_routing.SelfRoutingCapsNet):
        super().__init__()
        if len(model.hidden_capsules):
            raise ValueError("the peer of a self-routing network has no hidden capsules")
        self.backbone = torch.nn.Sequential()
        for layer in model.backbone.layers:
            self.backbone.extend([layers.normalised(layer), torch.nn.ReLU(inplace=True)])
        self.activations = layers.normalised(model.primary_capsules.activations)
        self.poses = layers.normalised(model.primary_capsules.poses)
        self.kernel = torch.nn.Parameter(layers.tensor(model.class_routing.kernel))
        self.bias = torch.nn.Parameter(layers.tensor(model.class_routing.bias)[:, None])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Log-probabilities `[batch, classes]` of images `[batch, channels, height, width]`.

        Capsules i of `[i, batch, dim]` are multiplied by their own matrices to `[i, batch, j]`.
        """
        features = self.backbone(images)
        activations = layers.flatten(self.activations(features)).sigmoid()
        shares = activations / activations.sum(1, keepdim=True)
        poses = layers.flatten(self.poses(features)).unflatten(1, (activations.shape[1], -1))
        couplings = torch.baddbmm(self.bias, poses.transpose(0, 1), self.kernel).softmax(2)
        return torch.einsum("bi,ibj->bj", shares, couplings).clamp_min(EPS).log()

    def loss(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Mean negative log-probability of the labels `[batch]`, int64."""
        return functional.nll_loss(self(images), labels)
