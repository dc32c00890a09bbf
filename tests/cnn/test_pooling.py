import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from cnn import pool

LIBRARY = {"max2": nnx.max_pool, "average2": nnx.avg_pool}


@pytest.mark.parametrize("kind", LIBRARY)
@pytest.mark.parametrize("size", [(8, 6), (7, 9), (2, 3)])
def test_values_and_gradients_are_the_librarys(kind, size):
    features = jax.random.normal(jax.random.key(0), (2, *size, 3))
    # Small whole numbers, so that many windows have several maxima.
    features = jnp.round(features)

    def library(features):
        return LIBRARY[kind](features, (2, 2), strides=(2, 2))

    expected, library_transpose = jax.vjp(library, features)
    found, transpose = jax.vjp(lambda features: pool(features, kind), features)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    cotangent = jax.random.normal(jax.random.key(1), found.shape)
    np.testing.assert_allclose(transpose(cotangent)[0], library_transpose(cotangent)[0], rtol=1e-6)


@pytest.mark.parametrize("kind", LIBRARY)
@pytest.mark.parametrize("place", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_what_is_not_a_number_stays_visible(kind, place):
    features = jnp.zeros((1, 2, 2, 1)).at[0, *place, 0].set(jnp.nan)
    assert np.isnan(pool(features, kind)).all()
