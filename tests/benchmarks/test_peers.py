import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from capsnet import CapsNetConfig, paper
from capsnet.routing import DynamicRouting
from cnn import ConvolutionalNetworkConfig, count_parameters
from cnn.decoder import DenseDecoder
from data.batches import Batch
from stn.networks.mnist import ClassifierNetwork, TransformerNetwork, TransformerNetworkConfig

torch = pytest.importorskip("torch")

from benchmarks import routing  # noqa: E402
from benchmarks.peers import capsnet, cnn, contenders, steps, transformers  # noqa: E402

CAPSNET = CapsNetConfig(
    convolution_channels=8, kernel_size=5, primary_types=3, decoder=DenseDecoder((16, 24))
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


def assert_agrees(make_peer, model, batch):
    """Loss, gradients and number of parameters of a peer agree with the model's."""
    model.eval()
    graph, parameters, others = nnx.split(model, nnx.Param, ...)

    @jax.jit
    @jax.value_and_grad
    def loss_and_gradient(parameters, batch):
        return nnx.merge(graph, parameters, others).loss(batch)[0]

    expected, gradient = loss_and_gradient(parameters, batch)
    peer = make_peer(model).eval()
    loss = peer.loss(*as_torch(batch))
    assert loss.item() == pytest.approx(float(expected), rel=1e-5)
    loss.backward()
    # The peer of a model whose parameters are the gradients holds them in the peer's layout.
    gradients = make_peer(nnx.merge(graph, gradient, others))
    for (name, ours), theirs in zip(gradients.named_parameters(), peer.parameters(), strict=True):
        ours = ours.detach().numpy()
        largest = np.abs(ours).max()
        assert largest > 0, name
        np.testing.assert_allclose(
            theirs.grad.numpy(), ours, rtol=0, atol=1e-4 * largest, err_msg=name
        )
    assert sum(one.numel() for one in peer.parameters()) == count_parameters(lambda: model)


@pytest.mark.parametrize("shape", [(28, 28, 1), (16, 18, 2)])
def test_capsnet(shape):
    assert_agrees(capsnet.CapsNet, CAPSNET.build(shape, 10, nnx.Rngs(0)), make_batch(shape))


def test_capsnet_has_the_papers_number_of_parameters():
    peer = capsnet.CapsNet(paper().build((28, 28, 1), 10, nnx.Rngs(0)))
    assert sum(parameter.numel() for parameter in peer.parameters()) == 8_215_568


def test_dead_capsules_have_a_gradient():
    peer = capsnet.CapsNet(CAPSNET.build((28, 28, 1), 10, nnx.Rngs(0)))
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
