import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from capsnet import CapsNetConfig, EfficientCapsNetConfig, SelfRoutingCapsNetConfig, paper
from capsnet.routing import DynamicRouting
from cnn import ConvolutionalNetworkConfig, count_parameters
from cnn.decoder import DenseDecoder
from cnn.networks.compact_transformer import CompactTransformerConfig
from cnn.networks.residual import ResidualNetworkConfig
from cnn.output import in_mode
from data.batches import Batch
from equivariant.canonicaliser import PrincipalAxis
from equivariant.groups import Group
from equivariant.learnt_canonicaliser import LearntOrientation
from equivariant.networks.canonicalised import CanonicalisedConfig
from equivariant.networks.cohen_welling import GroupNetworkConfig
from equivariant.networks.polar import PolarNetworkConfig
from stn.networks.mnist import ClassifierNetwork, TransformerNetwork, TransformerNetworkConfig

torch = pytest.importorskip("torch")

from benchmarks import routing  # noqa: E402
from benchmarks.peers import (  # noqa: E402
    canonicalised,
    capsnet,
    cnn,
    cohen_welling,
    compact_transformer,
    contenders,
    efficient,
    layers,
    polar,
    residual,
    self_routing,
    steps,
    transformers,
)

CAPSNET = CapsNetConfig(
    convolution_channels=8, kernel_size=5, primary_types=3, decoder=DenseDecoder((16, 24))
)
EFFICIENT = EfficientCapsNetConfig(
    channels=(4, 6, 8), kernel_sizes=(5, 3, 3), strides=(1, 1, 2), primary_dim=4
)


def make_batch(shape=(28, 28, 1), count=4):
    random = np.random.default_rng(0)
    return Batch(
        jnp.asarray(random.uniform(size=(count, *shape)), jnp.float32),
        jnp.asarray(random.integers(0, 10, count), jnp.int32),
    )


def as_torch(batch):
    """NCHW images and int64 labels."""
    images = np.moveaxis(np.asarray(batch.images), -1, 1)
    return torch.tensor(images), torch.tensor(np.asarray(batch.labels), dtype=torch.int64)


def perturbed(model):
    """Parameters and statistics other than at the start, where some are zero or one."""
    random = np.random.default_rng(1)
    for _, part in nnx.iter_graph(model):
        if isinstance(part, nnx.Param):
            part[...] = part[...] + 0.1 * random.standard_normal(part.shape)
        elif isinstance(part, nnx.BatchStat):
            part[...] = part[...] + random.uniform(0.1, 0.5, part.shape)
    return model


def assert_agrees(make_peer, model, batch, *, training=False):
    """Loss, gradients and number of parameters of a peer agree with the model's."""
    graph, parameters, others = nnx.split(in_mode(model, training=training), nnx.Param, ...)

    @jax.jit
    @jax.value_and_grad
    def loss_and_gradient(parameters, batch):
        return nnx.merge(graph, parameters, others, copy=True).loss(batch)[0]

    expected, gradient = loss_and_gradient(parameters, batch)
    peer = make_peer(model).train(training)
    loss = peer.loss(*as_torch(batch))
    assert loss.item() == pytest.approx(float(expected), rel=1e-5)
    loss.backward()
    # The peer of a model whose parameters are the gradients holds them in the peer's layout.
    gradients = dict(make_peer(nnx.merge(graph, gradient, others)).named_parameters())
    gradients = {name: ours.detach().numpy() for name, ours in gradients.items()}
    rounding = 3e-6 * max(np.abs(ours).max() for ours in gradients.values())
    for (name, ours), theirs in zip(gradients.items(), peer.parameters(), strict=True):
        largest = np.abs(ours).max()
        # That of a bias which normalisation or a softmax takes away again is rounding, if anything.
        assert largest > 0 or name.endswith("bias"), name
        tolerance = 1e-4 * largest + rounding
        np.testing.assert_allclose(theirs.grad.numpy(), ours, rtol=0, atol=tolerance, err_msg=name)
    assert sum(one.numel() for one in peer.parameters()) == count_parameters(lambda: model)


@pytest.mark.parametrize("shape", [(28, 28, 1), (16, 18, 2)])
def test_capsnet(shape):
    assert_agrees(capsnet.CapsNet, CAPSNET.build(shape, 10, nnx.Rngs(0)), make_batch(shape))


def test_capsnet_has_the_papers_number_of_parameters():
    peer = capsnet.CapsNet(paper().build((28, 28, 1), 10, nnx.Rngs(0)))
    assert sum(parameter.numel() for parameter in peer.parameters()) == 8_215_568


@pytest.mark.parametrize("config", [CAPSNET, EFFICIENT])
def test_dead_capsules_have_a_gradient(config):
    peer = contenders.make_peer(config, (28, 28, 1))
    images, labels = as_torch(make_batch())
    peer.loss(torch.zeros_like(images), labels).backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in peer.parameters())


@pytest.mark.parametrize(
    "changed",
    [
        {"primary_coupling": True},
        {"class_bias": True},
        {"margin_weight": 0.5},
        {"reconstruction_weight": 0.0},
    ],
)
def test_only_the_papers_capsnet_has_a_peer(changed):
    model = dataclasses.replace(CAPSNET, **changed).build((28, 28, 1), 10, nnx.Rngs(0))
    with pytest.raises(ValueError, match="the peer of a CapsNet has"):
        capsnet.CapsNet(model)


@pytest.mark.parametrize(
    ("padding", "pooling", "dense"),
    [
        ("SAME", ("none", "max2"), (12, 11)),
        ("SAME", ("average2", "none"), (12,)),
        ("VALID", ("max2", "none"), ()),
    ],
)
def test_convolutional_network(padding, pooling, dense):
    config = ConvolutionalNetworkConfig(
        channels=(6, 5), padding=padding, pooling=pooling, dense=dense
    )
    model = config.build((15, 17, 2), 10, nnx.Rngs(0))
    assert_agrees(cnn.ConvolutionalNetwork, model, make_batch((15, 17, 2)))


def test_dropout_is_that_of_the_model():
    model = ConvolutionalNetworkConfig(
        channels=(2,), pooling=("max2",), dense=(8,), dropout=0.25
    ).build((8, 8, 1), 10, nnx.Rngs(0))
    peer = cnn.ConvolutionalNetwork(model)
    assert peer.dropout.p == 0.25
    images, _ = as_torch(make_batch((8, 8, 1)))
    assert not torch.equal(peer(images), peer(images))


@pytest.mark.parametrize(
    ("shape", "pooling"), [((42, 42, 1), True), ((60, 60, 1), True), ((28, 28, 1), False)]
)
def test_transformer_network(shape, pooling):
    config = TransformerNetworkConfig("cnn", "affine", pooling=pooling)
    model = TransformerNetwork(config, shape, 10, width=5, rngs=nnx.Rngs(0))
    # At the start the localisation network has no gradient, and every point lies on a pixel's
    # centre, where the derivatives of bilinear sampling from either side differ.
    regression = model.transformers.transformers[0].regression
    key = jax.random.key(1)
    regression.kernel[...] = 0.1 * jax.random.normal(key, regression.kernel.shape)
    assert_agrees(transformers.TransformerNetwork, model, make_batch(shape))


@pytest.mark.parametrize("size", [42, 60])
def test_classifier_network(size):
    config = TransformerNetworkConfig("cnn", transformers=0)
    model = ClassifierNetwork(config, (size, size, 1), 10, width=5, rngs=nnx.Rngs(0))
    assert_agrees(transformers.ClassifierNetwork, model, make_batch((size, size, 1)))


@pytest.mark.parametrize(
    "config",
    [
        TransformerNetworkConfig("fcn"),
        TransformerNetworkConfig("cnn", "tps"),
        TransformerNetworkConfig("cnn", coordinates=True),
        TransformerNetworkConfig("cnn", transformers=2),
        TransformerNetworkConfig("cnn", steps=2),
        TransformerNetworkConfig("cnn", identity_penalty=0.1),
    ],
)
def test_only_one_affine_transformer_before_a_cnn_has_a_peer(config):
    model = TransformerNetwork(config, (28, 28, 1), 10, width=2, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="the peer of"):
        transformers.TransformerNetwork(model)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("make_peer", "config", "shape"),
    [
        (efficient.EfficientCapsNet, EFFICIENT, (17, 16, 2)),
        (
            self_routing.SelfRoutingCapsNet,
            SelfRoutingCapsNetConfig((4, 6, 8), (1, 2, 2), types=3, pose_dim=4),
            (13, 16, 2),
        ),
        (
            residual.ResidualNetwork,
            ResidualNetworkConfig(blocks=(1, 2, 1), parameters=20_000),
            (14, 15, 2),
        ),
        (
            compact_transformer.CompactTransformer,
            CompactTransformerConfig(
                tokeniser=(6,), attention_dropout=0.0, stochastic_depth=0.0, parameters=3000
            ),
            (15, 16, 2),
        ),
        (cohen_welling.GroupNetwork, GroupNetworkConfig("p4", channels=3), (28, 29, 2)),
        (cohen_welling.GroupNetwork, GroupNetworkConfig("z2", channels=6), (28, 28, 1)),
        (
            polar.PolarNetwork,
            PolarNetworkConfig((4, 6), (1, 2), origin_channels=5, origin_jitter=0.0),
            (13, 16, 2),
        ),
    ],
)
def test_normalised_networks(make_peer, config, shape, training):
    model = perturbed(config.build(shape, 10, nnx.Rngs(0)))
    assert_agrees(make_peer, model, make_batch(shape), training=training)


@pytest.mark.parametrize("training", [False, True])
def test_canonicalised_network(training, monkeypatch):
    # Turned by a quarter, every point lies on a pixel's centre, where derivatives from either side
    # differ; so the turns are by some degrees more.
    exact, more = Group.matrix, np.array([[1.0, 0.05], [-0.05, 1.0]])
    monkeypatch.setattr(Group, "matrix", lambda group, element: exact(group, element) @ more)
    config = CanonicalisedConfig(
        ConvolutionalNetworkConfig(channels=(4,), pooling=("max2",), dense=(8,), dropout=0.0),
        LearntOrientation(fields=3, layers=2, dropout=0.0, prior_weight=0.5),
    )
    model = perturbed(config.build((12, 14, 2), 10, nnx.Rngs(0)))
    batch = make_batch((12, 14, 2))
    scores = in_mode(model, training=training).orientation.scores(batch.images)
    assert len(np.unique(np.argmax(scores, axis=1))) > 1
    assert_agrees(canonicalised.CanonicalisedNetwork, model, batch, training=training)


@pytest.mark.parametrize(
    "config",
    [
        SelfRoutingCapsNetConfig(hidden_layers=1),
        EfficientCapsNetConfig(routing=DynamicRouting()),
        EfficientCapsNetConfig(reconstruction_weight=0.0),
        GroupNetworkConfig("p4m", channels=1),
        CanonicalisedConfig(canonicaliser=PrincipalAxis()),
        CanonicalisedConfig(canonicaliser=LearntOrientation(rotations=8)),
        CanonicalisedConfig(GroupNetworkConfig(), LearntOrientation()),
    ],
)
def test_other_networks_have_no_peer(config):
    with pytest.raises(ValueError, match="the peer of"):
        contenders.make_peer(config, (28, 28, 1))


@pytest.mark.parametrize(
    "config",
    [
        CompactTransformerConfig(attention_dropout=0.0, parameters=3000),
        CompactTransformerConfig(stochastic_depth=0.0, parameters=3000),
        PolarNetworkConfig((4,), (1,)),
        GroupNetworkConfig(channels=2, dropout=0.1),
        CanonicalisedConfig(
            ConvolutionalNetworkConfig((2,), pooling=("none",), dropout=0.0), LearntOrientation()
        ),
    ],
)
def test_training_alone_is_random(config):
    peer = contenders.make_peer(config, (28, 28, 1))
    images, _ = as_torch(make_batch(count=32))
    assert not torch.equal(peer(images), peer(images))
    peer.eval()
    assert torch.equal(peer(images), peer(images))


def test_running_statistics_go_on_alike():
    ours = nnx.BatchNorm(3, momentum=0.9, rngs=nnx.Rngs(0))
    peer = layers.normalisation(ours)
    batch = make_batch((9, 9, 3))
    ours(batch.images)
    peer(as_torch(batch)[0])
    np.testing.assert_allclose(peer.running_mean.numpy(), ours.mean[...], rtol=1e-5)
    # PyTorch's variance is that of a sample of 4 * 81 values.
    np.testing.assert_allclose(peer.running_var.numpy(), ours.var[...], rtol=1 / 323)


def test_steps_train():
    peer = capsnet.CapsNet(CAPSNET.build((28, 28, 1), 10, nnx.Rngs(0)))
    images, labels = as_torch(make_batch())
    before = peer.loss(images, labels).item()
    step = steps.training_step(peer, steps.adam(peer, learning_rate=0.003))
    losses = [step(images, labels) for _ in range(10)]
    assert losses[0].item() == pytest.approx(before, rel=1e-6)
    assert losses[-1] < 0.9 * losses[0]
    assert not losses[0].requires_grad


@pytest.mark.parametrize("direction", routing.DIRECTIONS)
@pytest.mark.parametrize("name", routing.PEERS)
def test_routings(name, direction, monkeypatch):
    monkeypatch.setattr(routing, "BATCH", 3)
    calls, _ = routing.make_contenders(name, direction, 24)
    ours = calls.pop("ours")()
    errors = {which: routing.largest_error(call(), ours) for which, call in calls.items()}
    assert errors["PyTorch"] < 1e-4
    assert 1e-3 < errors["PyTorch, bfloat16"] < 0.1


def test_only_the_papers_dynamic_routing_has_a_peer():
    with pytest.raises(ValueError, match="the peer of dynamic routing has no leak"):
        capsnet.DynamicRouting(DynamicRouting(leaky=True))


def test_reduced_calls_are_of_the_same_network():
    batch = make_batch()
    images, labels = np.asarray(batch.images), np.asarray(batch.labels)
    peers = {reduced: contenders.make_peer(CAPSNET, (28, 28, 1)) for reduced in (None, "bfloat16")}
    losses, logits = [], []
    for reduced, peer in peers.items():
        calls = contenders.make_calls(peer, images, labels, 1, reduced=reduced)
        logits.append(calls["inference"]().float().numpy())
        losses.append(calls["training"]().item())
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
    assert losses[1] != losses[0]
    np.testing.assert_allclose(logits[1], logits[0], atol=0.02)
