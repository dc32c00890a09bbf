import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from benchmarks.floors import count_work, floor_ms, measure_machine
from cnn.convolution import Convolution
from equivariant.networks.cohen_welling import p4cnn

IMAGES, LABELS = np.zeros((2, 12, 12, 1), np.float32), np.zeros(2, np.int32)
# 5x5 kernels at 8x8 places, from 1 channel to 10, two images.
CONVOLUTION = 2 * 2 * 8 * 8 * 25 * 10


class Output(NamedTuple):
    logits: jax.Array


class OneLayer(nnx.Module):
    def __init__(self, lowering, rngs):
        self.layer = Convolution(1, 10, (5, 5), use_bias=False, lowering=lowering, rngs=rngs)

    def __call__(self, images):
        return Output(self.layer(images)[:, 0, 0])

    def loss(self, batch):
        return jnp.sum(self(batch.images).logits), {}


@dataclasses.dataclass
class OneLayerConfig:
    lowering: str = "auto"

    def build(self, image_shape, num_classes, rngs):
        return OneLayer(self.lowering, rngs)


@pytest.mark.parametrize("lowering", ["auto", "patches", "fourier"])
def test_work_is_that_of_direct_convolution(lowering):
    work = count_work(OneLayerConfig(lowering), IMAGES, LABELS)
    assert work["inference"] == {"flops": CONVOLUTION, "bytes": IMAGES.nbytes + 4 * 250}
    # The kernel's gradient costs what the layer does; nobody asks for the images'.
    assert work["training"]["flops"] == pytest.approx(2 * CONVOLUTION, rel=0.05)
    assert work["training"]["bytes"] == IMAGES.nbytes + 6 * 4 * 250


def test_work_of_group_convolutions_is_direct_too():
    layers = [(26, 3, 1), *((side, 3, 40) for side in (24, 10, 8, 6, 4)), (1, 4, 40)]
    convolutions = sum(16 * side**2 * kernel**2 * inputs * 40 for side, kernel, inputs in layers)
    work = count_work(p4cnn(), np.zeros((8, 28, 28, 1), np.float32), np.zeros(8, np.int32))
    # Normalisation, pooling and the turned filters are the rest.
    assert convolutions < work["inference"]["flops"] < 1.05 * convolutions


def test_the_floor_is_the_longer_of_arithmetic_and_traffic():
    machine = {"flops_per_second": 1e9, "bytes_per_second": 1e9}
    assert floor_ms({"flops": 2e6, "bytes": 1e6}, machine) == pytest.approx(2.0)
    assert floor_ms({"flops": 1e6, "bytes": 3e6}, machine) == pytest.approx(3.0)


def test_a_machine_has_a_matrix_rate_and_a_bandwidth(monkeypatch):
    monkeypatch.setattr("benchmarks.floors._MATRIX_SIDE", 256)
    monkeypatch.setattr("benchmarks.floors._STREAM_BYTES", 2**20)
    machine = measure_machine(1)
    assert 1e8 < machine["flops_per_second"] < 1e15
    assert 1e7 < machine["bytes_per_second"] < 1e14
