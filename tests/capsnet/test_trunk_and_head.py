import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import capsnet
from capsnet.networks.heads import AverageHead, CapsuleHead, DenseHead, Head, VectorHead
from capsnet.networks.trunk_and_head import LOSSES, TrunkAndHeadConfig
from capsnet.networks.trunks import NormalisedTrunk, SabourTrunk, Trunk
from capsnet.routing import (
    DynamicRouting,
    InvertedAttentionRouting,
    Routing,
    SelfRouting,
    UniformRouting,
)
from cnn.decoder import DenseDecoder
from cnn.parameter_budget import count_parameters
from data.batches import Batch
from training.config_names import choices

SHAPE = (9, 9, 1)
SMALL = SabourTrunk(types=2, dim=4, channels=3, kernel_size=3)
SMALL_DECODER = DenseDecoder((4,))
run = nnx.jit(lambda model, images: model(images))


def build(shape=SHAPE, **fields):
    return TrunkAndHeadConfig(**{"trunk": SMALL, **fields}).build(shape, 5, nnx.Rngs(0))


def images(count=3):
    return np.random.default_rng(0).uniform(size=(count, *SHAPE)).astype(np.float32)


def parameters(head, trunk=None):
    config = TrunkAndHeadConfig(trunk=trunk or SabourTrunk(), head=head)
    return count_parameters(lambda: config.build((28, 28, 1), 10, nnx.Rngs(0)))


def test_sizes_on_the_trunk_of_capsnet():
    # 20,992 of the first convolution and 5,308,672 of the second.
    trunk = 256 * 81 + 256 + 256 * 256 * 81 + 256
    assert parameters(CapsuleHead()) == trunk + 1152 * 8 * 160 == 6_804_224
    assert parameters(CapsuleHead(shared="places")) == trunk + 32 * 8 * 160
    assert parameters(CapsuleHead(shared="all")) == trunk + 8 * 160
    assert parameters(VectorHead()) == trunk + (9216 + 1) * 160
    assert parameters(AverageHead()) == trunk + 257 * 10
    assert parameters(DenseHead(160)) == trunk + 9217 * 160 + 161 * 10


def test_without_routing_and_with_one_matrix_the_place_of_a_capsule_does_not_matter():
    config = dataclasses.replace(capsnet.affine_capsnet(), trunk=SMALL)
    whole = capsnet.affine_capsnet()
    for shape in ((28, 28, 1), (40, 40, 1)):
        count = count_parameters(lambda shape=shape: whole.build(shape, 10, nnx.Rngs(0)))
        assert count == 5_330_944
    model = config.build(SHAPE, 5, nnx.Rngs(0))
    maps = np.random.default_rng(0).normal(size=(2, 3, 3, 8)).astype(np.float32)
    read = nnx.jit(lambda model, maps: model.head(maps).poses)
    # Capsules in another order: places and the two types at each alike.
    capsules = np.random.default_rng(1).permutation(maps.reshape(2, 18, 4), axis=1)
    np.testing.assert_allclose(
        read(model, maps), read(model, capsules.reshape(maps.shape)), atol=1e-6
    )
    # By hand: the matrix of a class on the mean of the squashed capsules, squashed.
    vectors = np.float64(maps.reshape(2, 18, 4))
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    mean = np.mean(vectors * norms / (1 + norms**2), axis=1)
    (kernel,) = np.float64(model.head.layer.kernel[...])
    votes = np.einsum("bc,cjd->bjd", mean, kernel)
    lengths = np.linalg.norm(votes, axis=-1, keepdims=True)
    expected = votes * lengths / (1 + lengths**2)
    np.testing.assert_allclose(read(model, maps), expected, atol=1e-6)


def test_the_trunk_of_self_routing():
    convolutions = 9 * (16 + 16 * 32 + 32 * 32 + 32 * 64 + 64 * 64 + 64 * 128 + 128 * 512)
    norms = 2 * (16 + 32 + 32 + 64 + 64 + 128 + 512)
    assert parameters(AverageHead(), NormalisedTrunk()) == convolutions + norms + 513 * 10


def test_capsules_with_dynamic_routing_are_a_capsnet():
    head = build(head=CapsuleHead(), reconstruction_weight=0.0005, decoder=SMALL_DECODER)
    other = capsnet.CapsNetConfig(3, 3, 2, 4, decoder=SMALL_DECODER).build(SHAPE, 5, nnx.Rngs(1))
    first = head.trunk.before["convolution"].layer
    other.convolution.kernel[...], other.convolution.bias[...] = first.kernel[...], first.bias[...]
    other.primary_capsules.convolution.kernel[...] = head.trunk.last.kernel[...]
    other.class_capsules.kernel[...] = head.head.layer.kernel[...]
    nnx.update(other.decoder, nnx.state(head.decoder))
    ours, expected = run(head, images()), run(other, images())
    for name in ("lengths", "poses", "couplings", "vote_logits", "reconstruction"):
        np.testing.assert_allclose(getattr(ours, name), getattr(expected, name), atol=1e-5)


@pytest.mark.parametrize("routing", [r for r in choices(Routing).values() if r.activates])
def test_every_routing_is_a_head(routing):
    model = build(head=CapsuleHead(routing()), reconstruction_weight=0.1, decoder=SMALL_DECODER)
    batch = Batch(images(), jnp.array([0, 4, 2]))
    output = nnx.eval_shape(lambda model: model(images()), model)
    loss, metrics = nnx.eval_shape(lambda model: model.loss(batch), model)
    assert output.poses.shape == (3, 5, 16)
    assert output.couplings.shape == (3, 3 * 3 * 2, 5)
    assert output.reconstruction.shape == (3, *SHAPE)
    assert loss.shape == metrics["accuracy"].shape == ()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("head", [DenseHead(6), AverageHead(), VectorHead(4)])
def test_heads_without_capsules_have_scores(head, loss):
    output = run(build(head=head, loss=loss), images())
    if isinstance(head, VectorHead):
        expected = output.lengths
        assert np.all(np.asarray(output.lengths) < 1)
        assert output.features.shape == (3, 4)
    else:
        expected = 1 / (1 + np.exp(-np.float64(output.logits)))
        assert output.poses is None
        assert output.features.shape == (3, 6 if isinstance(head, DenseHead) else 8)
    if loss == "cross-entropy":
        assert output.probabilities is None
    else:
        np.testing.assert_allclose(output.probabilities, expected, atol=1e-6)


@pytest.mark.parametrize("head", [AverageHead(), CapsuleHead()])
def test_the_probabilities_under_cross_entropy_are_those_that_it_trains(head):
    model, labels = build(head=head, loss="cross-entropy"), jnp.array([1, 3, 0])
    if isinstance(head, AverageHead):
        # Such large logits have no order left once a sigmoid has been taken.
        model.head.classifier.bias[...] = jnp.array([20.0, 25.0, 10.0, 0.0, 0.0])
    output = run(model, images())
    own = output.probabilities
    probabilities = np.asarray(jax.nn.softmax(output.logits) if own is None else own)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), output.logits.argmax(axis=1))
    loss, _ = nnx.jit(lambda model, batch: model.loss(batch))(model, Batch(images(), labels))
    expected = -np.mean(np.log(probabilities[np.arange(3), labels]))
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_losses_by_hand():
    labels, losses = jnp.array([1, 3, 0]), {}
    for loss in LOSSES:
        model = build(head=AverageHead(), loss=loss)
        output = run(model, images())
        batch = Batch(images(), labels)
        losses[loss], _ = nnx.jit(lambda model, batch: model.loss(batch))(model, batch)
    logits, one_hot = np.float64(output.logits), np.eye(5)[np.asarray(labels)]
    scores = 1 / (1 + np.exp(-logits))
    true = np.sum(scores * one_hot, axis=1, keepdims=True)
    lacking = np.maximum(0, 0.9 - (true - scores)) * (1 - one_hot)
    margin = one_hot * np.maximum(0, 0.9 - scores) ** 2
    margin += 0.5 * (1 - one_hot) * np.maximum(0, scores - 0.1) ** 2
    entropy = np.log(np.sum(np.exp(logits), axis=1)) - np.sum(logits * one_hot, axis=1)
    assert float(losses["margin"]) == pytest.approx(margin.sum(axis=1).mean(), rel=1e-5)
    assert float(losses["spread"]) == pytest.approx((lacking**2).sum(axis=1).mean(), rel=1e-5)
    assert float(losses["cross-entropy"]) == pytest.approx(entropy.mean(), rel=1e-5)


@pytest.mark.parametrize("loss", ["spread", "cross-entropy"])
def test_losses_of_one_class_take_one_label(loss):
    model = build(head=AverageHead(), loss=loss)
    batch = Batch(images(), jnp.array([[1, 3], [0, 2], [4, 0]]))
    with pytest.raises(ValueError, match=r"labels of shape \(3, 2\): must be one an image"):
        nnx.eval_shape(lambda model: model.loss(batch), model)


def test_a_plateau_is_named_without_parts_that_other_networks_have():
    finding = build(head=AverageHead()).diagnose({"margin_loss": 0.81, "class_length": 0.0})
    assert finding == (
        "the margin loss sits at 0.810: the activations of all classes are near 0 (mean 0.000). "
        "Try another seed or a lower learning rate"
    )


def test_maps_of_the_trunk_are_of_any_size():
    maps = build().activations(images()[:, :8])
    assert {name: map_.shape for name, map_ in maps.items()} == {
        "convolution": (3, 6, 7, 3),
        "primary capsules": (3, 2, 3, 8),
    }


def test_parts_are_chosen_by_name():
    assert list(choices(Head)) == ["average_head", "capsule_head", "dense_head", "vector_head"]
    assert list(choices(Trunk)) == ["normalised_trunk", "sabour_trunk"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"head": DenseHead(), "reconstruction_weight": 0.1}, "must be 0 with DenseHead"),
        ({"head": DenseHead(-1)}, "width=-1"),
        ({"head": CapsuleHead(shared="some")}, "shared='some'"),
        ({"head": CapsuleHead(InvertedAttentionRouting())}, "poses without activations"),
        ({"head": CapsuleHead(DynamicRouting(0))}, "iterations=0"),
        ({"trunk": SabourTrunk(channels=0)}, "channels=0"),
        ({"trunk": NormalisedTrunk(strides=(1,))}, "strides"),
        ({"loss": "hinge"}, "loss='hinge'"),
        ({"shape": (4, 9, 1)}, "4x9 pixels are too small for the trunk"),
    ],
)
def test_what_cannot_be_is_said(fields, message):
    with pytest.raises(ValueError, match=message):
        build(**fields)


def test_equal_parts_share_compiled_programs():
    for routing in (UniformRouting(), SelfRouting()):
        first, second = (nnx.graphdef(build(head=CapsuleHead(routing))) for _ in range(2))
        assert hash(first) == hash(second)
        assert first == second


def test_gradients_reach_every_parameter():
    # Without a decoder nothing would read the poses that self-routing decides.
    decoder = {"reconstruction_weight": 0.1, "decoder": SMALL_DECODER}
    model = build(head=CapsuleHead(SelfRouting()), **decoder)
    batch = Batch(images(), jnp.array([0, 4, 2]))
    gradients = nnx.jit(nnx.grad(lambda model, batch: model.loss(batch)[0]))(model, batch)
    for gradient in jax.tree.leaves(gradients):
        assert np.all(np.isfinite(gradient))
        assert np.any(np.asarray(gradient) != 0)
