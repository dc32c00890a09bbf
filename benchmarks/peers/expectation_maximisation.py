"""EM routing in PyTorch; layout as in `benchmarks.peers.capsnet`.

Sums over votes and over components are batched products, as in dynamic routing's peer.
"""

import torch  # pyright: ignore[reportMissingImports]

from benchmarks.peers import layers
from capsnet.routing import expectation_maximisation

functional = torch.nn.functional


class ExpectationMaximisation(torch.nn.Module):
    """Hinton, Sabour and Frosst (2018), procedure 1, with copies of the costs of ours.

    Args:
        ours: The routing to copy.
    """

    def __init__(self, ours: expectation_maximisation.ExpectationMaximisation):
        super().__init__()
        self.config = ours.config
        self.beta_a = torch.nn.Parameter(layers.tensor(ours.beta_a))
        self.beta_u = torch.nn.Parameter(layers.tensor(ours.beta_u))

    def forward(
        self, votes: torch.Tensor, activations: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Poses `[b, j, d]` and activations `[b, j]` of votes `[b, j, i, d]`."""
        shares = votes.new_full(votes.shape[:3], 1.0 / votes.shape[1])
        mean, logits, squared, variance = self._maximise(votes, shares, activations, 1)
        for iteration in range(2, self.config.iterations + 1):
            distance = (squared @ (1.0 / variance).transpose(2, 3)).squeeze(3)
            log_density = -0.5 * (distance + variance.log().sum(3))
            shares = (functional.logsigmoid(logits)[:, :, None] + log_density).softmax(1)
            mean, logits, squared, variance = self._maximise(votes, shares, activations, iteration)
        return mean.squeeze(2), logits.sigmoid()

    def _maximise(self, votes, shares, activations, iteration):
        """Means and variances `[b, j, 1, d]`, logits `[b, j]`, squared distances as of votes."""
        weights = (shares * activations[:, None]).unsqueeze(2)
        data = weights.sum(3, keepdim=True)
        mean = weights @ votes / data
        squared = (votes - mean).square()
        variance = weights @ squared / data + self.config.min_variance
        out, inputs, dim = votes.shape[1:]
        cost = dim * self.beta_u + 0.5 * variance.log().sum((2, 3))
        inverse_temperature = self.config.final_beta * (1.0 - 0.95**iteration)
        logits = inverse_temperature * (self.beta_a - cost * data.flatten(1) * out / inputs)
        return mean, logits, squared, variance
