"""A plain CNN behind the learnt canonicaliser of quarter turns, in PyTorch.

The network is that of `equivariant.networks.canonicalised`, and images are turned by PyTorch's own
pair of functions, `affine_grid` and `grid_sample`.
"""

import numpy as np
import torch  # pyright: ignore[reportMissingImports]

from benchmarks.peers.cnn import ConvolutionalNetwork
from benchmarks.peers.cohen_welling import GroupConvolution, Layer
from cnn.networks import plain
from equivariant.learnt_canonicaliser import ScoredOrientation
from equivariant.networks import canonicalised

functional = torch.nn.functional


class Orientation(torch.nn.Module):
    """Group convolutions that score each orientation, and the turn back by the highest score.

    Args:
        ours: The module to copy.

    Raises:
        ValueError: if its turns are not by quarters.
    """

    def __init__(self, ours: ScoredOrientation):
        super().__init__()
        self.layers = torch.nn.Sequential()
        for layer in ours.layers:
            self.layers.extend([Layer(layer), torch.nn.Dropout(ours.dropout.rate)])
        self.last = GroupConvolution(ours.last)
        matrices = np.stack([ours.group.matrix(element) for element in range(ours.group.size)])
        self.register_buffer("matrices", torch.tensor(matrices, dtype=torch.float32))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Turned images, and the logarithms of the orientations' probabilities, `[batch, turns]`.

        Args:
            images: `[batch, channels, height, width]`.
        """
        scores = self.last(self.layers(images)).unflatten(1, (-1, self.last.turns)).mean((1, 3, 4))
        log_probabilities = scores.log_softmax(1)
        soft = log_probabilities.exp()
        chosen = functional.one_hot(scores.argmax(1), self.last.turns)
        # The chosen one, with the derivatives of the softmax: the difference is zero.
        weights = chosen + (soft - soft.detach())
        maps = torch.einsum("bg,gij->bij", weights, self.matrices)
        height, width = images.shape[2:]
        maps = maps * maps.new_tensor([[1.0, height / width], [width / height, 1.0]])
        grids = functional.affine_grid(
            functional.pad(maps, (0, 1)), list(images.shape), align_corners=False
        )
        return functional.grid_sample(images, grids, align_corners=False), log_probabilities


class CanonicalisedNetwork(torch.nn.Module):
    """A plain CNN that sees each image turned by a learnt canonicaliser.

    Args:
        model: The model whose architecture and parameters are copied.

    Raises:
        ValueError: if it has another network or canonicaliser.
    """

    def __init__(self, model: canonicalised.CanonicalisedNetwork):
        super().__init__()
        if not isinstance(model.orientation, ScoredOrientation):
            raise ValueError("the peer of a canonicaliser is the learnt one")
        if not isinstance(model.network, plain.ConvolutionalNetwork):
            raise ValueError("the peer of a canonicalised network is a plain CNN")
        self.orientation = Orientation(model.orientation)
        self.network = ConvolutionalNetwork(model.network)
        self.prior_weight = model.orientation.prior_weight

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits `[batch, classes]` of images `[batch, channels, height, width]` in [0, 1]."""
        return self.network(self.orientation(images)[0])

    def loss(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The network's loss of turned images, and the weighted prior that images are upright.

        Args:
            images: `[batch, channels, height, width]` in [0, 1].
            labels: `[batch]`, int64.
        """
        turned, log_probabilities = self.orientation(images)
        prior = -log_probabilities[:, 0].mean()
        return self.network.loss(turned, labels) + self.prior_weight * prior
