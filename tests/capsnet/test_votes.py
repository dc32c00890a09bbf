import jax
import jax.numpy as jnp
import numpy as np
from jax.test_util import check_grads

from capsnet.votes import make_votes, mean_squashed_votes


def arrays():
    keys = jax.random.split(jax.random.key(0), 3)
    return (
        jax.random.normal(keys[0], (4, 6, 3)),
        jax.random.normal(keys[1], (6, 3, 5, 2)),
        jax.random.normal(keys[2], (4, 6, 5, 2)),
    )


def test_every_capsule_meets_every_matrix():
    capsules, kernel, _ = arrays()
    expected = np.zeros((4, 6, 5, 2))
    for image in range(4):
        for capsule in range(6):
            for out in range(5):
                expected[image, capsule, out] = (
                    np.asarray(capsules)[image, capsule] @ np.asarray(kernel)[capsule, :, out]
                )
    np.testing.assert_allclose(make_votes(capsules, kernel), expected, atol=1e-5)


def test_gradients_are_those_of_the_plain_product():
    capsules, kernel, cotangent = arrays()

    def plain(capsules, kernel):
        return jnp.einsum("bic,icjd->bijd", capsules, kernel)

    _, ours = jax.vjp(make_votes, capsules, kernel)
    _, expected = jax.vjp(plain, capsules, kernel)
    for our, gradient in zip(ours(cotangent), expected(cotangent), strict=True):
        np.testing.assert_allclose(our, gradient, atol=1e-5)


def test_it_can_be_differentiated_twice():
    capsules, kernel, _ = arrays()

    def votes(*arrays):
        return make_votes(*map(jnp.asarray, arrays))

    check_grads(votes, (capsules, kernel), order=2, modes=["rev"], rtol=1e-2)


def test_mean_squashed_votes_by_hand():
    # Lengths 5 and 1 become 25/26 and 1/2.
    votes = np.array([[[[3.0, 4.0]], [[0.0, -1.0]]]], np.float32)
    expected = [[[0.5 * 25 / 26 * 0.6, 0.5 * (25 / 26 * 0.8 - 0.5)]]]
    np.testing.assert_allclose(mean_squashed_votes(votes), expected, rtol=1e-6)
