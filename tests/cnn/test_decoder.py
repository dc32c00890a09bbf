import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from cnn.decoder import Decoder


def test_decoder_sees_the_masked_vector_alone():
    decoder = Decoder(3, 4, (5, 6, 2), widths=(7,), rngs=nnx.Rngs(0))
    vectors = jax.random.normal(jax.random.key(0), (2, 3, 4))
    mask = jax.nn.one_hot(jnp.array([1, 2]), 3)
    images = decoder(vectors, mask)
    assert images.shape == (2, 5, 6, 2)
    others = vectors + 10.0 * (1 - mask[..., None])
    np.testing.assert_allclose(decoder(others, mask), images, atol=1e-6)
    assert not np.allclose(decoder(vectors + 10.0 * mask[..., None], mask), images)
