"""Every field of every model's configuration refuses nonsense in one line that names it."""

import dataclasses
import math
from typing import Any

import jax.numpy as jnp
import pytest
from flax import nnx

from capsnet import (
    AttentionCapsNetConfig,
    CapsNetConfig,
    EfficientCapsNetConfig,
    MatrixCapsNetConfig,
    SelfRoutingCapsNetConfig,
    TrunkAndHeadConfig,
    VariationalCapsNetConfig,
)
from cnn import ConvolutionalNetworkConfig, validation
from cnn.networks.bag_of_parts import BagOfPartsConfig
from cnn.networks.compact_transformer import CompactTransformerConfig
from cnn.networks.multi_label import MultiLabelNetworkConfig
from cnn.networks.oriented_gradients import OrientedGradientsConfig
from cnn.networks.pooling import PoolingNetworkConfig
from cnn.networks.reconstructing import ReconstructingNetworkConfig
from cnn.networks.residual import ResidualNetworkConfig
from equivariant import GroupNetworkConfig, PolarNetworkConfig
from stn.networks.birds import PartsConfig
from stn.networks.colocalisation import CoLocaliserConfig
from stn.networks.house_numbers import HouseNumberConfig
from stn.networks.mnist import TransformerNetworkConfig
from stn.networks.volumes import VolumeNetworkConfig

# The smallest side that each takes, as it comes.
SMALLEST = {
    AttentionCapsNetConfig: 13,
    CapsNetConfig: 17,
    EfficientCapsNetConfig: 11,
    MatrixCapsNetConfig: 17,
    SelfRoutingCapsNetConfig: 1,
    TrunkAndHeadConfig: 17,
    VariationalCapsNetConfig: 17,
    ConvolutionalNetworkConfig: 1,
    BagOfPartsConfig: 9,
    CompactTransformerConfig: 1,
    GroupNetworkConfig: 28,
    OrientedGradientsConfig: 8,
    PolarNetworkConfig: 2,
    PoolingNetworkConfig: 1,
    ReconstructingNetworkConfig: 4,
    ResidualNetworkConfig: 1,
    MultiLabelNetworkConfig: 4,
    TransformerNetworkConfig: 28,
    CoLocaliserConfig: 13,
    PartsConfig: 1,
    HouseNumberConfig: 16,
    VolumeNetworkConfig: 4,
}
NONSENSE = {
    bool: ("yes", 2, None, math.nan),
    int: (-1, -(2**40), 2**40, 10**30, 2.5, math.nan, "many", None, True, (3,)),
    float: (-1.0, -math.inf, math.inf, math.nan, 1e30, "much", None, True, (0.5,)),
    str: ("nonsense", "", None, 3, ("max2",)),
    tuple: (None, 3, "max2", (0,), (-1,), (2.5,), (math.nan,), ("nonsense",), (4,) * 1000),
}
# Fields in which zero is as good as any other number, or counts nothing.
FREE = {
    "margin_weight",
    "reconstruction_weight",
    "coordinate_scale",
    "dropout",
    "mean",
    "attention_dropout",
    "stochastic_depth",
    "downsamplings",
    "origin_jitter",
    "hidden_layers",
    "transformers",
    "identity_penalty",
    "outside_penalty",
    "collapse_penalty",
    "margin",
    "scale_penalty",
    "warmup_steps",
    "zoom_start",
}


def shape(config, side) -> Any:
    return (*[side] * (3 if isinstance(config, VolumeNetworkConfig) else 2), 1)


def refused():
    for kind in SMALLEST:
        for field in dataclasses.fields(kind):
            value = getattr(kind(), field.name)
            if dataclasses.is_dataclass(value):
                continue
            values = NONSENSE[type(value)]
            if type(value) in (int, float) and (
                field.name not in FREE or (kind, field.name) == (PartsConfig, "transformers")
            ):
                values = (*values, type(value)(0))
            yield kind, field.name, values


CASES = [case for case in refused() if case[:2] != (ReconstructingNetworkConfig, "network")]


@pytest.mark.parametrize(
    ("kind", "field", "values"), CASES, ids=[f"{kind.__name__}-{name}" for kind, name, _ in CASES]
)
def test_nonsense_is_refused_in_one_line_that_names_the_field(kind, field, values):
    if kind is ReconstructingNetworkConfig and field == "reconstruction_weight":
        values = (*values, 0.0)
    for value in values:
        config = kind()
        setattr(config, field, value)  # past the check of types that only tests have
        with pytest.raises(ValueError, match=f"^{field}=") as caught:
            config.build(shape(config, 84), 10, nnx.Rngs(0))
        message = str(caught.value)
        assert "\n" not in message
        assert len(message) < 250


@pytest.mark.parametrize("kind", SMALLEST)
def test_the_smallest_images_are_named(kind):
    config, least = kind(), SMALLEST[kind]

    def build(side):
        return nnx.eval_shape(lambda: config.build(shape(config, side), 10, nnx.Rngs(0)))

    network = build(least)
    if least > 1:
        with pytest.raises(ValueError, match=rf"smallest side that fits is {least}\b"):
            build(least - 1)
    images = jnp.zeros((2, *shape(config, least)))
    logits = nnx.eval_shape(lambda model: model(images).logits, network)
    assert logits.shape == (2, 10)


@pytest.mark.parametrize("kind", SMALLEST)
@pytest.mark.parametrize("sides", [(28, 28, 0), (0, 28, 1), (28, -1, 1), (28, 28, 2**40)])
def test_what_is_no_image_is_refused(kind, sides):
    with pytest.raises(ValueError, match=r"of shape .*must be"):
        kind().build(sides, 10, nnx.Rngs(0))


@pytest.mark.parametrize("sides", [(), (28,), (28, 28), (28, 28, 1, 1), (28, 28, 1.0)])
def test_an_image_has_height_width_and_channels(sides):
    with pytest.raises(ValueError, match=r"must be \(height, width, channels\)"):
        validation.check_shape(sides)


@pytest.mark.parametrize("kind", SMALLEST)
@pytest.mark.parametrize("classes", [0, -1])
def test_there_is_a_class(kind, classes):
    with pytest.raises(ValueError, match=f"num_classes={classes}"):
        kind().build(shape(kind(), 84), classes, nnx.Rngs(0))


@pytest.mark.parametrize("pooling", [(), ("max2",), ("max2",) * 9])
@pytest.mark.parametrize("kind", [ConvolutionalNetworkConfig, HouseNumberConfig])
def test_every_convolution_has_its_pooling(kind, pooling):
    with pytest.raises(ValueError, match="one pooling for each"):
        kind(pooling=pooling).build((28, 28, 1), 10, nnx.Rngs(0))


def test_a_schedule_runs_forwards():
    with pytest.raises(ValueError, match="zoom_end=500: must be above zoom_start=500"):
        CoLocaliserConfig(zoom_end=500).build((84, 84, 1), 10, nnx.Rngs(0))
