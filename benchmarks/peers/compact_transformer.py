"""The compact convolutional transformers of `cnn.networks.compact_transformer`, in PyTorch.

Queries, keys and values are one product, and the attention is PyTorch's own.
"""

import torch  # pyright: ignore[reportMissingImports]
from flax import nnx

from benchmarks.peers import layers
from benchmarks.peers.classification import Classifier
from cnn.networks import compact_transformer

functional = torch.nn.functional


class EncoderLayer(torch.nn.Module):
    """Attention, then two dense layers, each with layer normalisation before it and a skip."""

    def __init__(self, ours: compact_transformer.EncoderLayer):
        super().__init__()
        attention = ours.attention
        parts = [attention.query, attention.key, attention.value]
        self.attention_norm = _layer_norm(ours.attention_norm)
        self.projections = layers.dense(
            torch.cat([layers.tensor(part.kernel).flatten(1) for part in parts], 1),
            torch.cat([layers.tensor(part.bias).flatten() for part in parts]),
        )
        out = attention.out
        self.joined = layers.dense(layers.tensor(out.kernel).flatten(0, 1), layers.tensor(out.bias))
        self.dense_norm = _layer_norm(ours.dense_norm)
        self.hidden = layers.linear(ours.hidden)
        self.projection = layers.linear(ours.projection)
        self.heads = attention.num_heads
        self.attention_dropout = attention.dropout_rate
        # Drops whole channels: of tokens with an axis of one channel, all of an image's.
        self.depth = torch.nn.Dropout2d(ours.depth.rate)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """The tokens `[batch, tokens, channels]` after both summands."""
        tokens = tokens + self.skip(self.attend(self.attention_norm(tokens)))
        hidden = functional.gelu(self.hidden(self.dense_norm(tokens)))
        return tokens + self.skip(self.projection(hidden))

    def attend(self, tokens: torch.Tensor) -> torch.Tensor:
        """Attention `[batch, tokens, channels]` of all heads."""
        parts = self.projections(tokens).unflatten(2, (3, self.heads, -1))
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(
            query, key, value, dropout_p=self.attention_dropout if self.training else 0.0
        )
        return self.joined(attended.transpose(1, 2).flatten(2))

    def skip(self, summand: torch.Tensor) -> torch.Tensor:
        """A summand `[batch, tokens, channels]`, left out for some of the images in training."""
        return self.depth(summand.unsqueeze(1)).squeeze(1)


class CompactTransformer(Classifier):
    """Convolutions with pooling, an encoder on the places of their map, a weighted mean.

    Args:
        model: The model whose architecture and parameters are copied.
    """

    def __init__(self, model: compact_transformer.CompactTransformer):
        super().__init__()
        self.convolutions = torch.nn.ModuleList(map(layers.convolution, model.convolutions))
        self.positions = torch.nn.Parameter(layers.tensor(model.positions))
        self.layers = torch.nn.Sequential(*map(EncoderLayer, model.layers))
        self.norm = _layer_norm(model.norm)
        self.pooling = layers.linear(model.pooling)
        self.classifier = layers.linear(model.classifier)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits `[batch, classes]` of images `[batch, channels, height, width]` in [0, 1]."""
        features = images
        for convolution in self.convolutions:
            features = functional.relu(convolution(features), inplace=True)
            features = functional.max_pool2d(features, 3, stride=2, padding=1)
        tokens = features.flatten(2).transpose(1, 2) + self.positions
        tokens = self.norm(self.layers(tokens))
        weights = self.pooling(tokens).softmax(1)
        return self.classifier((weights.transpose(1, 2) @ tokens).squeeze(1))


def _layer_norm(ours: nnx.LayerNorm) -> torch.nn.LayerNorm:
    layer = torch.nn.LayerNorm(ours.num_features, eps=ours.epsilon)
    layer.weight, layer.bias = (
        torch.nn.Parameter(layers.tensor(part)) for part in (ours.scale, ours.bias)
    )
    return layer
