"""The plain convolutional classifiers of `cnn.networks.plain`, in PyTorch."""

import torch  # pyright: ignore[reportMissingImports]

from benchmarks.peers import layers
from benchmarks.peers.classification import Classifier
from cnn import ConvolutionalNetwork as Ours

functional = torch.nn.functional


class ConvolutionalNetwork(Classifier):
    """Convolutions, pooling, dense layers, a linear classifier; ReLU between them.

    Args:
        model: The model whose architecture and parameters are copied; float32.
    """

    def __init__(self, model: Ours):
        super().__init__()
        self.convolutions = torch.nn.ModuleList(map(layers.convolution, model.convolutions))
        self.pooling = model.pooling
        self.dense = torch.nn.ModuleList(map(layers.linear, model.dense))
        self.dropout = torch.nn.Dropout(model.dropout.rate)
        self.classifier = layers.linear(model.classifier)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits `[batch, classes]` of images `[batch, channels, height, width]` in [0, 1]."""
        features = images
        for convolution, kind in zip(self.convolutions, self.pooling, strict=True):
            features = pool(functional.relu(convolution(features), inplace=True), kind)
        features = layers.flatten(features)
        for layer in self.dense:
            features = functional.relu(layer(features), inplace=True)
        return self.classifier(self.dropout(features))


def pool(features: torch.Tensor, kind: str) -> torch.Tensor:
    """Halves height and width, "max2" or "average2"; "none" returns the features as they are."""
    if kind == "none":
        return features
    return {"max2": functional.max_pool2d, "average2": functional.avg_pool2d}[kind](features, 2)
