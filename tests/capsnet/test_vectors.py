import jax
import jax.numpy as jnp
import numpy as np
import pytest

from capsnet import length, squash


@pytest.mark.parametrize(
    ("vector", "expected"),
    [
        ([3.0, 4.0], [0.576923, 0.769231]),
        ([1.0, 0.0], [0.5, 0.0]),
        ([0.0, 0.5], [0.0, 0.2]),
        ([0.1, 0.0], [0.0099010, 0.0]),
        ([10.0, 0.0], [0.990099, 0.0]),
        ([0.0, 0.0], [0.0, 0.0]),
    ],
)
def test_squash_has_its_published_values(vector, expected):
    np.testing.assert_allclose(squash(jnp.array(vector)), expected, atol=1e-6)


def test_squash_of_sixteen_tenths():
    assert float(length(squash(jnp.full(16, 0.1)))) == pytest.approx(0.137931, abs=1e-6)


def test_squash_works_along_any_axis():
    vectors = jax.random.normal(jax.random.key(0), (3, 4, 5))
    moved = jnp.moveaxis(squash(jnp.moveaxis(vectors, 1, -1)), -1, 1)
    np.testing.assert_allclose(squash(vectors, axis=1), moved, rtol=1e-6)


@pytest.mark.parametrize("norm", [1e-20, 1e-3, 1.0, 1e4])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_squash_is_finite_and_below_one_at_extreme_lengths(norm, dtype):
    squashed = squash(jnp.array([norm, 0.0], dtype))
    assert squashed.dtype == dtype
    assert 0.0 <= float(squashed[0]) <= 1.0


def test_squash_derivatives_at_length_one():
    jacobian = jax.jacobian(squash)(jnp.array([1.0, 0.0]))
    # Along the vector 2n / (1 + n^2)^2, across it n / (1 + n^2).
    np.testing.assert_allclose(jacobian, [[0.5, 0.0], [0.0, 0.5]], atol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize("function", [squash, length])
def test_gradient_at_the_zero_vector_is_zero(function, dtype):
    gradient = jax.grad(lambda v: jnp.sum(function(v)).astype(jnp.float32))(jnp.zeros(8, dtype))
    np.testing.assert_array_equal(np.asarray(gradient, np.float32), np.zeros(8))


def test_length_matches_numpy():
    vectors = jax.random.normal(jax.random.key(1), (7, 16))
    np.testing.assert_allclose(
        length(vectors), np.linalg.norm(np.asarray(vectors), axis=-1), rtol=1e-6
    )
