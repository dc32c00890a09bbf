"""The figures in the running text of README.md and docs/ are those of the records."""

import functools

import jax
from flax import nnx

from capsnet import CapsNetConfig
from evaluation.results.pack import read_records
from tests import pages
from tests.conftest import ROOT

RESULTS = ROOT / "results"
TEXT = "\n".join(map(pages.flowing, pages.PAGES))


@functools.cache
def records(folder):
    return read_records(RESULTS / folder)


def says(*sentences):
    for sentence in sentences:
        assert sentence in TEXT, sentence


def test_ink_that_leaves_the_frame():
    (record,) = (
        each
        for each in records("robustness")
        if (each.provenance.run, each.suite) == ("mnist_capsnet_seed0", "translation")
    )
    cut = {
        (result.condition, result.strength): 1.0 - result.details["ink in the frame"].value
        for result in record.results
    }
    assert max(cut, key=cut.__getitem__) == ("along y", 8.0)
    says(f"as much as {100 * max(cut.values()):.0f} % of it along y")


def test_parameters():
    capsnet = CapsNetConfig()
    network = nnx.eval_shape(lambda: capsnet.build((28, 28, 1), 10, nnx.Rngs(0)))

    def size(module):
        return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(module, nnx.Param)))

    says(f"CapsNet has {size(network):,}, of which {size(network.decoder):,} are its decoder")
    sizes = {each.provenance.model: each.provenance.parameters for each in records("cost")}
    for name in ("cnn_matched", "cnn_9x9", "cnn", "st_cnn", "cnn_400k"):
        parameters = sizes[f"mnist:{name}"]
        assert f"`{name}` {parameters:,}" in TEXT
        if name == "cnn_matched":
            says(
                f"with {parameters:,} parameters, CapsNet's {size(network):,} but for "
                f"{size(network) - parameters:,}"
            )
