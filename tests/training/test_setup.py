import jax
import numpy as np
import pytest

from cnn.decoder import DenseDecoder
from cnn.networks.plain import ConvolutionalNetworkConfig
from cnn.networks.reconstructing import ReconstructingNetworkConfig
from common.errors import UserError
from data.dataset import Dataset, Split
from data.sources.load import DatasetConfig
from tests.training.tiny_model import Tiny, TinyConfig
from training.experiment import Experiment
from training.run.devices import make_mesh
from training.setup import Setup, prepare
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
    made = predictor(ReconstructingNetworkConfig(network, class_dim=2, decoder=DenseDecoder((4,))))
    images = IMAGES / np.float32(255.0)
    variables, paint = made.differentiable.variables, made.differentiable.reconstruction
    np.testing.assert_array_equal(paint(variables, images), made.field("reconstruction")(images))
    slopes = jax.grad(lambda seen: paint(variables, seen).sum())(images)
    assert np.all(np.any(slopes != 0.0, axis=(1, 2, 3)))


def test_a_model_without_a_decoder_says_so():
    made = predictor(TinyConfig())
    assert not made.has("reconstruction")
    assert made.differentiable.reconstruction is None


def test_an_evaluation_batch_is_not_mostly_blank(monkeypatch):
    def prepared(size, count):
        split = Split(np.zeros((count, 6, 6, 1), np.uint8), np.zeros(count, np.int32))
        made_up = Dataset("made up", 3, SPLIT, split, SPLIT)
        monkeypatch.setattr(DatasetConfig, "load", lambda *_: made_up)
        prepare(Experiment(model=TinyConfig(), steps=1, evaluation_batch_size=size), None)

    prepared(1000, 4)
    prepared(1500, 1500)
    for size, count, most in ((1001, 4, 1000), (1501, 1500, 1500), (2**31 - 1, 4, 1000)):
        with pytest.raises(
            UserError, match=f"evaluation_batch_size={size}: must be at most {most}"
        ):
            prepared(size, count)


def test_steps_that_no_memory_holds_do_not_begin(monkeypatch):
    experiment = Experiment(model=TinyConfig(), steps=1, batch_size=4)
    program = make_program(experiment, (6, 6, 1), 3, make_mesh())
    setup = Setup(experiment, Dataset("made up", 3, SPLIT, SPLIT, SPLIT), make_mesh(), program)
    split = setup.training_split()
    compiled = program.train_steps.lower(program.create_state(), split, np.int32(1)).compile()
    setup.check_memory(compiled)
    monkeypatch.setattr("training.setup.physical", lambda: 10)
    with pytest.raises(UserError, match=r"batch_size=4: a step takes .* GB, more than"):
        setup.check_memory(compiled)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ((0.0, {"error": 1.0}), "Tiny.loss returns the metrics error; it must return a scalar"),
        ((0.0, {}), "Tiny.loss returns the metrics none; it must"),
        (0.0, "Tiny.loss returns float; it must"),
        ((0.0, 1.0), "Tiny.loss returns tuple; it must"),
        ((np.zeros(4), {"accuracy": 1.0}), r"Tiny.loss returns the loss of shape \(4,\); it must"),
        ((0.0, {"accuracy": np.ones(4)}), r"Tiny.loss returns accuracy of shape \(4,\); it must"),
    ],
)
def test_what_a_loss_must_return_is_one_line(returned, message):
    experiment = Experiment(model=TinyConfig(), steps=1, batch_size=4)
    program = make_program(experiment, (6, 6, 1), 3, make_mesh())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tiny, "loss", lambda self, batch: returned)
        setup = Setup(experiment, Dataset("made up", 3, SPLIT, SPLIT, SPLIT), make_mesh(), program)
        with pytest.raises(UserError, match=f"^{message}"):
            program.train_steps.lower(program.create_state(), setup.training_split(), np.int32(1))


def test_what_a_model_says_of_a_batch_is_one_line():
    def loss(self, batch):
        raise ValueError("images are too blue\nvery blue")

    experiment = Experiment(model=TinyConfig(), steps=1, batch_size=4)
    program = make_program(experiment, (6, 6, 1), 3, make_mesh())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tiny, "loss", loss)
        setup = Setup(experiment, Dataset("made up", 3, SPLIT, SPLIT, SPLIT), make_mesh(), program)
        with pytest.raises(UserError) as caught:
            program.train_steps.lower(program.create_state(), setup.training_split(), np.int32(1))
    assert str(caught.value) == "the model cannot learn from these images: images are too blue"
