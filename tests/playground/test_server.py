"""The page's server, asked as the page asks it."""

import http.client
import json
import re
import threading

import jax.numpy as jnp
import numpy as np
import pytest

import capsnet
import configs
from cnn.decoder import DenseDecoder
from data.dataset import Split
from inference.decoding import decoder_of
from inference.trained_model import model_of
from playground.models import Player, decode_image, encode, load_players
from playground.server import MAX_BYTES, Answers, make_server
from stn.networks.mnist import TransformerNetworkConfig
from training.experiment import Experiment
from training.run.devices import make_mesh
from training.run.signature import Signature
from training.step import make_program
from training.trained import TrainedRun

SHAPE, CLASSES = (12, 12, 1), 10
RANDOM = np.random.default_rng(0)
TEST = Split(
    RANDOM.integers(0, 256, (30, *SHAPE), np.uint8), RANDOM.integers(0, 10, 30).astype(np.int32)
)


def player(name, config):
    """A model of the page that nobody has trained."""
    experiment = Experiment(config, steps=1)
    program = make_program(experiment, SHAPE, CLASSES, make_mesh())
    signature = Signature(SHAPE, CLASSES)
    run = TrainedRun(name, experiment, signature, program, program.create_state(), 0)
    decode = decoder_of(run)
    return Player(name, model_of(run), decode, 2 if decode else 0)


@pytest.fixture(scope="module")
def players():
    config = capsnet.CapsNetConfig(4, 3, 3, 2, class_dim=2, decoder=DenseDecoder((4,)))
    warping = TransformerNetworkConfig("fcn", parameters=12_000)
    return [player("capsules", config), player("warping", warping)]


@pytest.fixture(scope="module")
def server(players):
    with make_server(Answers(players, TEST), 0) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


@pytest.fixture
def ask(server):
    def asked(path, question=None, method="POST", **headers):
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
        body = question if isinstance(question, bytes) else json.dumps(question)
        connection.request(method, path, None if method == "GET" else body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        is_json = answer.headers["Content-Type"] == "application/json"
        return answer.status, json.loads(content) if is_json else content.decode(), answer.headers

    return asked


def test_the_page_is_sent_and_loads_nothing_from_elsewhere(ask):
    status, page, headers = ask("/", method="GET")
    assert status == 200
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    for file in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert ask(file, method="GET")[0] == 200
    for path in ("/page.js", "/drawing.js"):
        script = ask(path, method="GET")[1]
        assert "http" not in script.replace("http://www.w3.org/2000/svg", "")
        for file in re.findall(r'from "([^"]+)"', script):
            assert ask(file, method="GET")[0] == 200
    assert ask("/../server.py", method="GET")[0] == 404


def test_models_and_examples(ask):
    _, found, _ = ask("/models", {})
    assert [(each["name"], each["components"]) for each in found["models"]] == [
        ("capsules", 2),
        ("warping", 0),
    ]
    _, example, _ = ask("/example", {"number": 31})
    assert (example["number"], example["label"]) == (1, TEST.labels[1])
    np.testing.assert_array_equal(decode_image(example["image"]), TEST.images[1])


def test_predictions_are_those_of_the_models(ask, players):
    image = encode(TEST.images[0] / np.float32(255))
    offsets = [[0.5, 0.0], []]
    _, (capsules, warping), _ = ask("/predict", {"image": image, "offsets": offsets})
    seen = TEST.images[:1] / np.float32(255)
    for each, answer in zip(players, (capsules, warping), strict=True):
        expected = each.model(seen)
        np.testing.assert_allclose(answer["scores"][0], expected.probabilities[0], atol=1e-5)
        assert answer["label"] == expected.labels[0]
    assert "frames" not in capsules
    assert np.shape(warping["frames"]) == (1, 4, 2)
    assert np.shape(capsules["couplings"])[0] > 1

    # The reconstruction is that of the moved capsule.
    poses = np.array(players[0].model.outputs(seen, "poses")["poses"])
    poses[0, capsules["label"], 0] += 0.5
    decoded = players[0].decode(jnp.asarray(poses), np.array([capsules["label"]]))
    assert capsules["reconstruction"] == encode(np.asarray(decoded)[0])
    _, (unmoved, _), _ = ask("/predict", {"image": image})
    own = players[0].model(seen).reconstruction
    np.testing.assert_allclose(
        decode_image(unmoved["reconstruction"]), np.rint(255 * own[0]), atol=1.0
    )
    assert unmoved["reconstruction"] != capsules["reconstruction"]


def test_images_of_any_size_are_brought_to_the_models(ask):
    colours = {**encode(RANDOM.uniform(size=(30, 20, 3)))}
    _, answers, _ = ask("/predict", {"image": colours, "changes": {"angle": 30, "pieces": 3}})
    assert answers[0]["seen"]["shape"] == list(SHAPE)


def test_a_sweep_is_the_accuracy_along_a_slider(ask, players):
    _, found, _ = ask("/sweep", {"along": "pieces", "changes": {"x": 0.1}})
    assert found["values"] == list(range(1, 9))
    assert np.shape(found["accuracies"]) == (2, 8)
    assert found["images"] == len(TEST)
    _, plain, _ = ask("/sweep", {"along": "x"})
    middle = plain["values"].index(0.0)
    for each, accuracies in zip(players, plain["accuracies"], strict=True):
        right = np.mean(each.model(TEST.images).labels == TEST.labels)
        assert accuracies[middle] == pytest.approx(right)


@pytest.mark.parametrize(
    ("path", "question", "status", "said"),
    [
        ("/nothing", {}, 404, "no such question"),
        ("/predict", b"{", 400, "no JSON"),
        ("/predict", [], 400, "no JSON object"),
        ("/predict", {}, 400, "a shape and pixels"),
        ("/predict", {"image": {"shape": [2, 2], "pixels": ""}}, 400, "height, width and channels"),
        ("/predict", {"image": {"shape": [2, 2, 2], "pixels": ""}}, 400, "1 or 3 channels"),
        ("/predict", {"image": {"shape": [2, 2, 1], "pixels": "AAAA"}}, 400, "cannot reshape"),
        ("/predict", {"image": {"shape": [9999, 2, 1], "pixels": ""}}, 400, "1024 pixels"),
        ("/predict", {"image": {"shape": [1, 1, 1], "pixels": "!"}}, 400, ""),
        ("/example", {"number": "1"}, 400, "must be a whole number"),
        ("/sweep", {"along": "time"}, 400, "must be one of angle, x"),
        ("/sweep", {"along": "x", "changes": {"scale": 9}}, 400, "scale=9: must be from"),
    ],
)
def test_what_cannot_be_answered_is_said(ask, path, question, status, said):
    found, answer, _ = ask(path, question)
    assert found == status
    assert said in answer["error"]
    assert answer["error"]


def test_offsets_of_a_capsule_are_bounded(ask):
    image = encode(np.zeros(SHAPE))
    for offsets in (3, [[]], [[0.7], []], [["a"], []], [[float("nan")], []]):
        assert ask("/predict", {"image": image, "offsets": offsets})[0] == 400


def test_other_sites_and_long_questions_are_refused(ask):
    assert ask("/models", {}, Host="elsewhere.example")[0] == 403
    assert ask("/models", {}, Origin="http://elsewhere.example")[0] == 403
    assert ask("/", method="GET", Host="elsewhere.example:8000")[0] == 403
    assert ask("/models", {}, **{"Content-Length": str(MAX_BYTES + 1)})[0] == 413


def test_models_of_the_zoo_can_be_played_with():
    (found,) = load_players(["zoo:cnn_max_blur3"], data_dir=None, configurations=configs.load)
    assert found.describe()["classes"] == list("0123456789")


def test_mistakes_of_the_command_are_one_line(command, server):
    taken = server.server_port
    for words, said in (
        (["zoo:none"], "RUN=zoo:none is not in the zoo"),
        (["zoo:cnn_max_blur3", "--port=x"], "must be a number from 0 to 65535"),
        (["zoo:cnn_max_blur3", f"--port={taken}"], f"--port={taken} cannot be used"),
        ([], "arguments are required: RUN"),
    ):
        process = command("playground/__main__.py", *words)
        assert process.returncode == 1
        assert said in process.stderr.splitlines()[-1]
