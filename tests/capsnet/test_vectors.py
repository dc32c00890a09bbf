import jax
import jax.numpy as jnp
import numpy as np
import pytest

from capsnet import exponential_squash, length, squash


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


@pytest.mark.parametrize(
    ("vector", "expected"),
    [
        ([3.0, 4.0], [0.5959572, 0.7946096]),
        ([1.0, 0.0], [0.6321206, 0.0]),
        ([0.0, 0.1], [0.0, 0.0951626]),
        ([1e-3, 0.0], [0.9995002e-3, 0.0]),
        ([-1e-4, 0.0], [-0.9999500e-4, 0.0]),
        ([0.0, 0.0], [0.0, 0.0]),
    ],
)
def test_exponential_squash_has_its_published_values(vector, expected):
    np.testing.assert_allclose(exponential_squash(jnp.array(vector)), expected, rtol=1e-6)


def test_squash_of_sixteen_tenths():
    assert float(length(squash(jnp.full(16, 0.1)))) == pytest.approx(0.137931, abs=1e-6)


def test_squash_works_along_any_axis():
    vectors = jax.random.normal(jax.random.key(0), (3, 4, 5))
    moved = jnp.moveaxis(squash(jnp.moveaxis(vectors, 1, -1)), -1, 1)
    np.testing.assert_allclose(squash(vectors, axis=1), moved, rtol=1e-6)


@pytest.mark.parametrize("function", [squash, exponential_squash])
@pytest.mark.parametrize("norm", [1e-20, 1e-3, 1.0, 1e4])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_squash_is_finite_and_below_one_at_extreme_lengths(function, norm, dtype):
    squashed = function(jnp.array([norm, 0.0], dtype))
    assert squashed.dtype == dtype
    assert 0.0 <= float(squashed[0]) <= 1.0


def test_squash_derivatives_at_length_one():
    jacobian = jax.jacobian(squash)(jnp.array([1.0, 0.0]))
    # Along the vector 2n / (1 + n^2)^2, across it n / (1 + n^2).
    np.testing.assert_allclose(jacobian, [[0.5, 0.0], [0.0, 0.5]], atol=1e-6)


@pytest.mark.parametrize("norm", [1e-30, 1e-18, 1e-4, 0.9e-3, 1.1e-3, 1.0, 1e4, 1e25])
def test_exponential_squash_derivatives(norm):
    jacobian = jax.jacobian(exponential_squash)(jnp.array([norm, 0.0]))
    # Along the vector exp(-n), across it (1 - exp(-n)) / n, which is 1 at zero.
    expected = [[np.exp(-norm), 0.0], [0.0, -np.expm1(-norm) / norm]]
    np.testing.assert_allclose(jacobian, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
def test_exponential_squash_leaves_the_zero_vector_its_gradient(dtype):
    jacobian = jax.jacobian(exponential_squash)(jnp.zeros(3, dtype))
    np.testing.assert_array_equal(np.asarray(jacobian, np.float32), np.eye(3))


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


@pytest.mark.parametrize(
    ("vector", "squashed", "norm"),
    [
        ([np.nan, 1.0], [np.nan, np.nan], np.nan),
        ([np.inf, 1.0], [1.0, 0.0], np.inf),
        ([np.inf, -np.inf], [0.5**0.5, -(0.5**0.5)], np.inf),
        ([3e30, -4e30], [0.6, -0.8], 5e30),
        ([3e-30, 4e-30], [0.0, 0.0], 5e-30),
        ([3e-10, 4e-10], [1.5e-19, 2e-19], 5e-10),
    ],
)
def test_vectors_whose_squares_are_no_numbers(vector, squashed, norm):
    np.testing.assert_allclose(squash(jnp.array(vector)), squashed, rtol=1e-6)
    np.testing.assert_allclose(length(jnp.array(vector)), norm, rtol=1e-6)
    # Short vectors keep their lengths, and infinite ones all their direction.
    expected = vector if norm < 1.0 else squashed
    np.testing.assert_allclose(exponential_squash(jnp.array(vector)), expected, rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-30, 1e-18, 1.0, 1e18, 1e30])
def test_the_gradient_of_a_length_is_its_direction(scale):
    gradient = jax.grad(length)(scale * jnp.array([3.0, -4.0]))
    np.testing.assert_allclose(gradient, [0.6, -0.8], rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-30, 1e-18, 1e18, 1e30])
def test_the_gradient_of_a_squash_is_finite(scale):
    assert np.all(np.isfinite(jax.jacobian(squash)(scale * jnp.array([3.0, -4.0]))))


@pytest.mark.parametrize("kind", [np.int32, np.uint8, np.float64])
def test_whole_numbers_and_numpy_are_float32(kind):
    cases = {
        squash: [0.576923, 0.769231],
        exponential_squash: [0.595957, 0.794610],
        length: 5.0,
    }
    for function, expected in cases.items():
        found = function(np.array([3, 4], kind))
        assert found.dtype == jnp.float32
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_one_spoilt_vector_leaves_the_others():
    vectors = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    clean = np.asarray(squash(vectors))
    vectors[1, 2, 3] = np.nan
    found = np.array(squash(vectors))
    assert np.isnan(found[1, 2]).all()
    found[1, 2] = clean[1, 2]
    np.testing.assert_array_equal(found, clean)


def test_ordinary_values_are_those_of_the_equation_bit_for_bit():
    vectors = jax.random.normal(jax.random.key(0), (64, 8)) * 10.0 ** jnp.arange(-16, 16)[
        :, None
    ].repeat(2, 0)
    squared = jnp.sum(jnp.square(vectors), axis=-1, keepdims=True)
    np.testing.assert_array_equal(squash(vectors), vectors * (jnp.sqrt(squared) / (1.0 + squared)))
    np.testing.assert_array_equal(length(vectors), jnp.sqrt(squared[:, 0]))
