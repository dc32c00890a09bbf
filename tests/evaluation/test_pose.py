import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnn.output import Warp
from data.dataset import Dataset, Split
from data.distortions import AffineDistortion, ElasticDistortion, ProjectiveDistortion
from evaluation import suites
from evaluation.metrics.pose import pose_errors, thin
from evaluation.model import Predictor
from evaluation.suites import NotApplicable
from evaluation.suites.transformers import pose
from stn.transforms import Affine, Similarity

COUNT, CANVAS = 200, 42
DISTORTION = AffineDistortion(45.0, 0.7, 1.2, anywhere=True)


def poses(distortion=DISTORTION, seed=0):
    blank = jnp.zeros((COUNT, 28, 28, 1))
    return distortion(jax.random.key(seed), blank, CANVAS).theta


def errors(theta, grids, transform=None):
    return pose_errors(
        np.asarray(grids), np.asarray(theta)[:, None], transform or Affine(), size=28
    )


def test_a_transformer_that_undoes_every_pose_has_no_error():
    theta = poses()
    grids = Affine().grid(Affine().inverse(theta), (20, 20))[:, None]
    found = errors(theta, grids)
    np.testing.assert_allclose(found.transformed, 0.0, atol=1e-3)
    assert np.median(found.untransformed) > 4.0


def test_the_frame_that_a_transformer_prefers_does_not_count():
    theta = poses()
    turned = jnp.broadcast_to(jnp.array([0.3, 0.4, 0.1, -0.2]), (COUNT, 4))
    matrix = Similarity().matrix(turned).reshape(COUNT, 6)
    undone = Affine().compose(matrix, Affine().inverse(theta))
    np.testing.assert_allclose(
        errors(theta, Affine().grid(undone, (20, 20))[:, None]).transformed, 0.0, atol=1e-3
    )


def test_a_known_mistake_has_its_size():
    theta = poses()
    mistake = np.zeros((COUNT, 6), np.float32)
    # Half of the images are read 3 of 28 pixels too far right, half as far left.
    mistake[:, [0, 4]] = 1.0
    mistake[:, 2] = np.where(np.arange(COUNT) % 2, 6 / 28, -6 / 28)
    wrong = Affine().compose(jnp.asarray(mistake), Affine().inverse(theta))
    found = errors(theta, Affine().grid(wrong, (20, 20))[:, None])
    np.testing.assert_allclose(found.transformed, 3.0, atol=0.01)


@pytest.mark.parametrize("distortion", [ProjectiveDistortion(), ElasticDistortion()], ids=repr)
def test_the_identity_is_no_better_than_no_transformer(distortion):
    theta = poses(distortion)
    identity = jnp.broadcast_to(jnp.asarray(Affine().identity, jnp.float32), (COUNT, 6))
    grids = Affine().grid(identity, (CANVAS, CANVAS))[:, None]
    found = errors(theta, grids, distortion.transform)
    np.testing.assert_allclose(found.transformed[:, 0], found.untransformed, atol=1e-4)
    assert np.median(found.untransformed) > 0.5


def test_each_transformer_is_held_to_the_object_that_it_follows():
    first, second = poses(seed=1), poses(seed=2)
    grids = jnp.stack(
        [Affine().grid(Affine().inverse(theta), (20, 20)) for theta in (second, first)], axis=1
    )
    both = np.stack([first, second], axis=1)
    found = pose_errors(np.asarray(grids), both, Affine(), size=28)
    assert found.transformed.shape == (COUNT, 2)
    np.testing.assert_allclose(found.transformed, 0.0, atol=1e-3)


def test_thinning_keeps_the_corners():
    grids = np.arange(2 * 1 * 20 * 30 * 2).reshape(2, 1, 20, 30, 2)
    points = thin(grids)
    assert points.shape == (2, 1, 64, 2)
    np.testing.assert_array_equal(points[:, :, 0], grids[:, :, 0, 0])
    np.testing.assert_array_equal(points[:, :, -1], grids[:, :, -1, -1])


def dataset(theta):
    images = np.zeros((COUNT, CANVAS, CANVAS, 1), np.uint8)
    split = Split(images, np.zeros(COUNT, np.int32), np.asarray(theta)[:, None])
    source = Split(np.zeros((1, 28, 28, 1), np.uint8), np.zeros(1, np.int32))
    return Dataset("rendered", 10, source, split, split, Affine())


def test_the_suite_scores_every_image():
    theta = poses()
    grids = np.asarray(Affine().grid(Affine().inverse(theta), (20, 20)))[:, None]
    served = iter(np.split(np.concatenate([grids, grids[:40]]), 4))
    predict = Predictor.of(lambda images: images, warp=lambda images: Warp(images, next(served)))
    result = pose.evaluate(predict, dataset(theta), batch_size=60)
    assert result.count == COUNT
    assert result.metric.unit == "px"
    assert result.value == pytest.approx(0.0, abs=1e-3)
    assert result.details["without a transformer"].value > 4.0
    assert result.details["without a transformer"].unit == "px"


def test_the_suite_does_not_apply_without_a_warp_or_poses():
    data = dataset(poses())
    with pytest.raises(NotApplicable, match="the model has no `warp`"):
        suites.run(pose, lambda images: images, data, batch_size=60)
    split = Split(data.test.images, data.test.labels)
    unknown = Dataset("found", 10, data.train, split, split)
    warp = Predictor.of(lambda images: images, warp=lambda images: Warp(images, images))
    with pytest.raises(NotApplicable, match="the poses of the images of found are not known"):
        suites.run(pose, warp, unknown, batch_size=60)
