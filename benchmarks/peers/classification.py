"""What the peers of plain classifiers have in common: their loss."""

import torch  # pyright: ignore[reportMissingImports]


class Classifier(torch.nn.Module):
    """A network of logits that learns by softmax cross-entropy; a base of the peers of such."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits `[batch, classes]` of images `[batch, channels, height, width]` in [0, 1]."""
        raise NotImplementedError

    def loss(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Mean softmax cross-entropy in nats; labels are `[batch]`, int64."""
        return torch.nn.functional.cross_entropy(self(images), labels)
