import jax
import numpy as np

from cnn.network import ConvolutionalNetworkConfig
from cnn.reconstructing_network import ReconstructingNetworkConfig
from data.sources import Dataset, Split
from tests.training.tiny_model import TinyConfig
from training.environment import make_mesh
from training.experiment import Experiment
from training.setup import Setup
from training.step import make_program

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 6, 6, 1)).astype(np.uint8)
SPLIT = Split(IMAGES, np.arange(4, dtype=np.int32) % 3)


def predictor(model):
    experiment = Experiment(model=model, steps=1, batch_size=4)
    program = make_program(experiment, (6, 6, 1), 3, make_mesh())
    setup = Setup(experiment, Dataset("made up", 3, SPLIT, SPLIT, SPLIT), make_mesh(), program)
    return setup.predictor(program.create_state())


def test_a_decoder_can_be_asked_and_differentiated():
    network = ConvolutionalNetworkConfig((2,), 3, pooling=("max2",), dense=(), dropout=0.5)
    made = predictor(ReconstructingNetworkConfig(network, class_dim=2, decoder_widths=(4,)))
    images = IMAGES / np.float32(255.0)
    variables, paint = made.differentiable.variables, made.differentiable.reconstruct
    np.testing.assert_array_equal(paint(variables, images), made.reconstruct(images))
    slopes = jax.grad(lambda seen: paint(variables, seen).sum())(images)
    assert np.all(np.any(slopes != 0.0, axis=(1, 2, 3)))


def test_a_model_without_a_decoder_says_so():
    made = predictor(TinyConfig())
    assert made.reconstruct is None
    assert made.differentiable.reconstruct is None
