import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnn.backbones import normalised_places
from cnn.places import Places


def test_places_of_capsnet_by_hand():
    places = Places.of_image((28, 28, 1)).behind(9).behind(9, 2)
    # 17x17 pixels that begin at pixel 0, 2, ..., 10.
    assert (places.size, places.first, places.step) == ((6, 6), (8.0, 8.0), 2)
    rows = (2.0 * np.arange(8, 19, 2) + 1.0) / 28 - 1.0
    np.testing.assert_allclose(places.centres()[:, 3, 1], rows, rtol=1e-6)
    np.testing.assert_allclose(places.centres()[2, :, 0], rows, rtol=1e-6)


LAYERS = [
    ((31, 24), [(5, 2, "VALID"), (3, 2, "VALID"), (3, 1, "VALID")]),
    ((19, 24), [(3, 1, "SAME"), (3, 2, "SAME"), (3, 1, "SAME"), (3, 2, "SAME")]),
    ((20, 17), [(4, 2, "SAME"), (3, 1, "VALID")]),
]


@pytest.mark.parametrize(("size", "layers"), LAYERS)
def test_places_are_in_the_middle_of_what_they_see(size, layers):
    places = Places.of_image((*size, 1))
    for layer in layers:
        places = places.behind(*layer)

    def network(image):
        for kernel_size, stride, padding in layers:
            image = jax.lax.conv_general_dilated(
                image,
                jnp.ones((kernel_size, kernel_size, 1, 1)),
                (stride, stride),
                padding,
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )
        return image[0, :, :, 0]

    sees = np.asarray(jax.jit(jax.jacrev(network))(jnp.ones((1, *size, 1))))[:, :, 0, :, :, 0] != 0
    assert sees.shape[:2] == places.size
    # Where nothing is cut off by the edge of the image.
    whole = [place for place in np.ndindex(*places.size) if not _at_edge(sees[place])]
    assert whole
    for row, column in whole:
        rows, columns = np.nonzero(sees[row, column])
        middle = (columns.min() + columns.max() + 1) / size[1] - 1
        assert places.centres()[row, column, 0] == pytest.approx(middle, abs=1e-6)
        middle = (rows.min() + rows.max() + 1) / size[0] - 1
        assert places.centres()[row, column, 1] == pytest.approx(middle, abs=1e-6)


def _at_edge(seen):
    return seen[0].any() or seen[-1].any() or seen[:, 0].any() or seen[:, -1].any()


def test_a_backbone_has_the_places_of_its_convolutions():
    assert normalised_places((7, 8, 3), (1, 2)) == Places((7, 8), (4, 4), (0.0, 1.0), 2)
