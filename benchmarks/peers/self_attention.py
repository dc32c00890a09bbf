"""Self-attention routing in PyTorch; layout as in `benchmarks.peers.capsnet`."""

import math

import torch  # pyright: ignore[reportMissingImports]

from benchmarks.peers import layers
from capsnet.routing import self_attention

_TINY = 1e-30


class SelfAttention(torch.nn.Module):
    """Mazzia, Salvetti and Chiaberge (2021), with a copy of the bias of ours.

    Args:
        ours: The routing to copy.

    Raises:
        ValueError: if it has no bias.
    """

    def __init__(self, ours: self_attention.SelfAttention):
        super().__init__()
        if ours.bias is None:
            raise ValueError("the peer of self-attention routing has a bias")
        self.bias = torch.nn.Parameter(layers.tensor(ours.bias))

    def forward(
        self, votes: torch.Tensor, activations: torch.Tensor | None = None
    ) -> tuple[torch.Tensor]:
        """Poses `[b, j, d]` of votes `[b, j, i, d]`; the activations do not matter."""
        del activations
        total = votes.sum(2, keepdim=True)
        agreement = votes @ total.transpose(2, 3) / math.sqrt(votes.shape[3])
        weights = agreement.softmax(1) + self.bias.T[:, :, None]
        return (exponential_squash((weights.transpose(2, 3) @ votes).squeeze(2)),)


def exponential_squash(vectors: torch.Tensor) -> torch.Tensor:
    """Shortens the vectors along the last axis to lengths 1 - exp(-|s|)."""
    # A zero vector has the limit of the quotient, 1, and no derivative of its norm.
    norm = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True).clamp_min(_TINY)
    return vectors * (-torch.expm1(-norm) / norm)
