"""The CNN of `stn.networks.mnist` in PyTorch, alone or behind a transformer.

The transformer is PyTorch's own pair of functions, `affine_grid` and `grid_sample`.
"""

import torch  # pyright: ignore[reportMissingImports]

from benchmarks.peers import classification, layers
from stn.layers.localisation import ConvolutionalLocalisation
from stn.layers.transformer import SpatialTransformer
from stn.networks import mnist
from stn.networks.classifiers import ConvolutionalClassifier
from stn.transforms import Affine

functional = torch.nn.functional


class Classifier(torch.nn.Module):
    """9x9 and 7x7 convolutions, each with max pooling by 2, and a linear classifier."""

    def __init__(self, ours: ConvolutionalClassifier):
        super().__init__()
        self.first = layers.convolution(ours.first)
        self.second = layers.convolution(ours.second)
        self.classifier = layers.linear(ours.classifier)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits `[batch, classes]` of images `[batch, channels, height, width]`."""
        features = images
        for convolution in (self.first, self.second):
            features = functional.relu(convolution(features), inplace=True)
            features = functional.max_pool2d(features, 2, ceil_mode=True)
        return self.classifier(layers.flatten(features))


class Transformer(torch.nn.Module):
    """An affine spatial transformer with a convolutional localisation network."""

    def __init__(self, ours: SpatialTransformer):
        super().__init__()
        localisation = ours.localisation
        if not isinstance(localisation, ConvolutionalLocalisation) or localisation.coordinates:
            raise ValueError("the peer of a transformer has a convolutional localisation network")
        if not isinstance(ours.transform, Affine):
            raise ValueError(f"the peer of a transformer is affine, not {ours.transform}")
        self.first = layers.convolution(localisation.first)
        self.second = layers.convolution(localisation.second)
        self.dense = layers.linear(localisation.dense)
        self.regression = layers.linear(ours.regression)
        self.align_corners = ours.align_corners

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images `[batch, channels, height, width]`, read through the predicted maps."""
        theta = self.regression(self.localise(images)).unflatten(1, (2, 3))
        grid = functional.affine_grid(theta, list(images.shape), align_corners=self.align_corners)
        return functional.grid_sample(images, grid, align_corners=self.align_corners)

    def localise(self, images: torch.Tensor) -> torch.Tensor:
        """Features `[batch, features]` that the maps are read off."""
        features = self.first(functional.avg_pool2d(images, 2))
        features = functional.max_pool2d(functional.relu(features, inplace=True), 2)
        features = functional.relu(self.second(features), inplace=True)
        return functional.relu(self.dense(layers.flatten(features)), inplace=True)


class ClassifierNetwork(classification.Classifier):
    """The CNN without a transformer.

    Args:
        model: The model whose architecture and parameters are copied.

    Raises:
        ValueError: if it is not convolutional.
    """

    def __init__(self, model: mnist.ClassifierNetwork | mnist.TransformerNetwork):
        super().__init__()
        if not isinstance(model.classifier, ConvolutionalClassifier):
            raise ValueError("the peer of a classifier is the convolutional one")
        self.classifier = Classifier(model.classifier)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits `[batch, classes]` of images `[batch, channels, height, width]` in [0, 1]."""
        return self.classifier(images)


class TransformerNetwork(ClassifierNetwork):
    """One affine transformer, average pooling if asked for, the CNN.

    Args:
        model: The model whose architecture and parameters are copied.

    Raises:
        ValueError: if it has other transformers, another classifier or penalties.
    """

    def __init__(self, model: mnist.TransformerNetwork):
        super().__init__(model)
        transformers = list(model.transformers.transformers)
        if len(transformers) != 1 or not isinstance(transformers[0], SpatialTransformer):
            raise ValueError("the peer of a network has one transformer that takes one step")
        if model.penalties:
            raise ValueError("the peer of a network has no penalties")
        self.transformer = Transformer(transformers[0])
        self.pooling = model.pooling != "none"

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits `[batch, classes]` of images `[batch, channels, height, width]` in [0, 1]."""
        transformed = self.transformer(images)
        return self.classifier(
            functional.avg_pool2d(transformed, 2) if self.pooling else transformed
        )
