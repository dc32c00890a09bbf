"""Learnable polyphase sampling: the subsampled grid that a small network scores highest.

Rojas-Gomez, Lim, Schwing, Do and Yeh, "Learnable polyphase sampling for shift invariant and
equivariant convolutional networks" (2022). As adaptive polyphase sampling it keeps one of the four
grids of every other pixel, and so moves along with circular shifts; but the choice is learnt, and
not by the norm.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from cnn import validation
from cnn.arrays import as_float
from cnn.convolution import Convolution
from cnn.downsampling import EDGES, PAD_MODES, Features, polyphase, take_phase

NAME = "lps"
"""Beside the kinds of `cnn.downsample`, which have no parameters."""
_KERNEL = 3


class LearnablePolyphaseSampling(nnx.Module):
    """Halves feature maps, rounding up, by the phase of the largest logit.

    A phase's logit is the mean over places of what a 3x3 convolution, a ReLU and a 3x3 convolution
    make of it; the weights are the same for all phases. In training the output is the sum of the
    phases by the weights softmax((logits + noise) / temperature) with Gumbel noise, image by image,
    so that the logits have gradients.

    Args:
        channels: Of the feature maps, and between the convolutions.
        edges: What lies beyond the edges, "zeros" or "circular".
        temperature: Of the softmax, above 0.
        rngs: Source of the initial values and of the noise.

    Raises:
        ValueError: if an argument is out of its limits.
    """

    def __init__(
        self, channels: int, *, edges: str = "zeros", temperature: float = 1.0, rngs: nnx.Rngs
    ):
        validation.check_values(
            channels=(channels, validation.whole()),
            edges=(edges, validation.one_of(*EDGES)),
            temperature=(temperature, validation.number(0.0, validation.MAX_WEIGHT, beyond=True)),
        )
        self.first = Convolution(channels, channels, _KERNEL, rngs=rngs)
        self.second = Convolution(channels, 1, _KERNEL, rngs=rngs)
        self.edges, self.temperature = edges, temperature
        self.deterministic = False
        # One stream, for whatever name `Rngs` is asked for it has, so also for that of a method.
        self.noise = rngs["noise"].fork()

    def set_view(self, deterministic: bool | None = None) -> None:
        """Takes the noise away, or brings it back; `flax.nnx.view` calls it."""
        if deterministic is not None:
            self.deterministic = deterministic

    def logits(
        self, phases: Float[Array, "batch phases height width channels"]
    ) -> Float[Array, "batch phases"]:
        """Scores phases; a circular shift of one does not change its score if edges are so."""
        batch, count, *shape = phases.shape
        features = nnx.relu(self._convolve(self.first, phases.reshape(batch * count, *shape)))
        scores = jnp.mean(self._convolve(self.second, features), axis=(1, 2, 3))
        return scores.reshape(batch, count)

    def _convolve(self, convolution, features):
        pad = ((0, 0), (1, 1), (1, 1), (0, 0))
        return convolution(jnp.pad(features, pad, mode=PAD_MODES[self.edges]))

    def __call__(self, features: Features) -> Float[Array, "batch out_height out_width channels"]:
        """Keeps a phase of every image, or mixes them in training."""
        phases = polyphase(as_float(features), edges=self.edges)
        logits = self.logits(phases)
        if self.deterministic:
            return take_phase(phases, jnp.argmax(logits, axis=1))
        noise = jax.random.gumbel(self.noise(), logits.shape, logits.dtype)
        weights = jax.nn.softmax((logits + noise) / self.temperature)
        return jnp.sum(weights.astype(phases.dtype)[:, :, None, None, None] * phases, axis=1)
