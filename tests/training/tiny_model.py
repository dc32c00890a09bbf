"""A classifier that trains in milliseconds and uses all that the loop offers to a model."""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx

from cnn import Output


@dataclasses.dataclass
class TinyConfig:
    """One hidden layer with dropout; the loss is no number at step `blow_up_at`, if positive.

    A network that is `dead` has hidden units that are always 0; one that is `blind` has numbers
    for logits only while it trains.
    """

    width: int = 8
    dropout: float = 0.2
    blow_up_at: int = 0
    plateau: bool = False
    dead: bool = False
    blind: bool = False

    def build(self, image_shape, num_classes, rngs):
        return Tiny(self, image_shape, num_classes, rngs)


class Tiny(nnx.Module):
    def __init__(self, config, image_shape, num_classes, rngs):
        height, width, channels = image_shape
        self.hidden = nnx.Linear(height * width * channels, config.width, rngs=rngs)
        self.dropout = nnx.Dropout(config.dropout, rngs=rngs)
        self.output = nnx.Linear(config.width, num_classes, rngs=rngs)
        self.calls = nnx.Variable(jnp.zeros((), jnp.int32))
        self.blow_up_at = config.blow_up_at
        self.plateau = config.plateau
        self.dead = config.dead
        self.blind = config.blind

    def __call__(self, images):
        hidden = nnx.relu(self.hidden(images.reshape(images.shape[0], -1)))
        hidden = jnp.where(self.dead, 0.0, hidden)
        logits = self.output(self.dropout(hidden))
        return Output(jnp.where(self.blind and self.dropout.deterministic, jnp.nan, logits))

    def loss(self, batch):
        logits = self(batch.images).logits
        chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), batch.labels[:, None], axis=1)
        loss = -jnp.mean(chosen)
        self.calls[...] += 1
        loss = jnp.where(self.calls[...] == self.blow_up_at, jnp.nan, loss)
        return loss, {"accuracy": jnp.mean(jnp.argmax(logits, axis=-1) == batch.labels)}

    def diagnose(self, metrics):
        return "it sits on a plateau" if self.plateau else None
