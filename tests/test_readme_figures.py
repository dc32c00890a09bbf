"""The figures in the running text of README.md and docs/ are those of the records."""

import functools

import jax
import numpy as np
import pytest
from flax import nnx

from capsnet import CapsNetConfig
from evaluation.comparison.tables import tabulate
from evaluation.results.pack import read_records
from tests import pages
from tests.conftest import ROOT

RESULTS = ROOT / "results"
TEXT = "\n".join(map(pages.flowing, pages.PAGES))


@functools.cache
def records(folder):
    return read_records(RESULTS / folder)


def by_seed(folder, model, suite, metric, condition="", strength=None):
    """A model's values, one a training: at a strength, or the mean over all but the identity."""
    found = {}
    for record in records(folder):
        if (record.provenance.model, record.suite) != (model, suite):
            continue
        results = [
            result
            for result in record.results
            if (result.condition, result.metric.name) == (condition, metric)
            and (
                result.strength == strength
                if strength is not None
                else result.axis is None or result.strength != result.axis.identity
            )
        ]
        found[record.provenance.seed] = float(np.mean([result.value for result in results]))
    assert found, (folder, model, suite)
    return [found[seed] for seed in sorted(found)]


def mean(*arguments, **keywords):
    return float(np.mean(by_seed(*arguments, **keywords)))


def says(*sentences):
    for sentence in sentences:
        assert sentence in TEXT, sentence


def test_robustness():
    def row(model, suite, condition="", metric="accuracy"):
        return 100.0 * mean("robustness", f"mnist:{model}", suite, metric, condition)

    shown = [("clean", ""), ("affine", ""), ("elastic", ""), ("perspective", ""), ("rotation", "")]
    shown += [("scale", ""), ("shear", ""), ("translation", "along x"), ("translation", "along y")]
    for large in ("cnn_matched", "cnn_9x9"):
        leads = {place: row(large, *place) - row("capsnet", *place) for place in shown}
        assert min(leads.values()) > 0.0
        for suite in ("clean", "elastic", "rotation", "shear"):
            assert leads[suite, ""] < 2.0
        for condition in ("random places", "grid"):
            place = ("spatial_adversary", condition, "robust accuracy")
            assert row(large, *place) > row("capsnet", *place)
            assert row("st_cnn", *place) > row("cnn_400k", *place)
    assert all(row("st_cnn", *place) > row("cnn_400k", *place) for place in shown)
    stripes = {name: row(name, "corruptions", "stripe") for name in ("capsnet", "cnn_matched")}
    edges = {name: row(name, "corruptions", "Canny-like edges") for name in stripes}
    under_stripes = {name: row(name, "corruptions", "stripe") for name in ("st_cnn", "cnn_400k")}
    gained = {
        suite: row("st_cnn", suite) - row("cnn_400k", suite) for suite in ("clean", "elastic")
    }
    clean = [row(name, "clean") for name in ("capsnet", "cnn_400k", "cnn_9x9", "cnn", "st_cnn")]
    assert row("cnn_matched", "clean") - min(clean) < 0.6
    says(
        f"under stripes ({stripes['capsnet']:.1f} against {stripes['cnn_matched']:.1f} %)",
        f"Canny-like edges ({edges['capsnet']:.1f} against {edges['cnn_matched']:.1f} %)",
        f"by {gained['clean']:.2f} points on clean images and {gained['elastic']:.2f} under",
        f"under stripes ({under_stripes['st_cnn']:.1f} against {under_stripes['cnn_400k']:.1f} %)",
    )


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


def test_matched_accuracy_is_not_quite_matched():
    capsnet, st_cnn = (
        100.0 * mean("matched", f"mnist:{name}", "clean", "accuracy")
        for name in ("capsnet", "st_cnn")
    )
    says(f"{capsnet:.2f} % for CapsNet, {st_cnn:.2f} % for `st_cnn`")


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


def test_faces():
    def rates(network, task, condition, metric="false-positive rate"):
        name = f"faces:{network}" + (f",{task}" if task else "")
        return [100.0 * value for value in by_seed("faces", name, "faces", metric, condition)]

    networks = ("capsnet", "cnn_400k", "cnn_matched", "cnn", "stn_cnn")
    losses = [
        whole - wide
        for network in networks
        for whole, wide in zip(
            rates(network, "", "intact", "accuracy"),
            rates(network, "", "wide poses", "accuracy"),
            strict=True,
        )
        if whole > 90.0
    ]
    says(f"loses {min(losses):.0f} to {max(losses):.0f} points")
    presence = {
        name: rates(name, "presence", "held-out permutations")
        for name in ("capsnet", "cnn_400k", "cnn", "stn_cnn")
    }
    says(
        f"rate of more than {max(map(max, presence.values())):.1f} % on the held-out",
        f"the small CNN at most {max(presence['cnn']):.1f} %",
    )
    capsnet = rates("capsnet", "relation", "held-out permutations")
    others = [rates(name, "relation", "held-out permutations") for name in networks[1:]]
    low, high = min(map(min, others)), max(map(max, others))
    says(
        f"CapsNet's false-positive rate is {min(capsnet):.1f} to {max(capsnet):.1f} %, that of",
        f"or without, {low:.0f} to {high:.0f} %; after Holm",
    )
    changed = [
        rate
        for name in networks[1:]
        for condition in ("missing part", "doubled part")
        for rate in rates(name, "relation", condition)
    ]
    own = rates("capsnet", "relation", "missing part") + rates(
        "capsnet", "relation", "doubled part"
    )
    assert 17.0 < min(own) <= max(own) < 23.0  # "a fifth"
    single = rates("capsnet", "relation", "single part")
    matched = rates("cnn_matched", "relation", "single part")
    says(
        f"by the CNNs in {min(changed):.0f} to {max(changed):.0f} %;",
        f"by CapsNet in {min(single):.0f} to {max(single):.0f} %, by `cnn_matched` in "
        f"{min(matched):.0f} to {max(matched):.0f} %",
    )


def test_tests_of_faces():
    (table,) = (t for t in tabulate(records("faces")) if t.dataset == "faces relation")
    rows = [row for row in table.rows if row.suite == "faces"]
    (held_out,) = (
        row
        for row in rows
        if (row.condition, row.metric.name) == ("held-out permutations", "false-positive rate")
    )
    different = [each.other for each in held_out.contests if each.is_significant]
    assert len(different) == 1
    assert held_out.contests[0].best == "faces:capsnet,relation"
    says(
        f"correction for all {sum(len(row.contests) for row in rows)} tests of the suite, three "
        "seeds suffice for a significant difference from one of the four"
    )


def test_pooling():
    def values(kind, metric, condition, suite="small_shifts"):
        return by_seed("pooling", f"cnn_pooling:{kind}", suite, metric, condition)

    kinds = ("all_conv_global", "aps", "avg2", "blur3", "max2", "max3s2", "max_blur3", "max_blur5")
    phases = {
        kind: np.mean(values(kind, "shiftability error", "last layer", "layer_equivariance"))
        for kind in (*kinds, "stride2")
    }
    for filtered in ("max_blur3", "max_blur5"):
        assert 0.2 < phases[filtered] / phases["max2"] < 1 / 3
    assert phases["blur3"] / phases["stride2"] == pytest.approx(1 / 3, abs=0.02)
    assert phases["all_conv_global"] == 0.0
    along_y = {kind: values(kind, "jaggedness", "realistic shift along y") for kind in kinds}
    along_x = {kind: values(kind, "jaggedness", "realistic shift along x") for kind in kinds}
    consistency = {
        kind: values(kind, "consistency", "realistic shifts")
        for kind in (*kinds, "stride2", "dense")
    }
    for filtered in ("max_blur3", "max_blur5"):
        assert max(along_y[filtered]) < min(along_y["max2"])
        assert max(along_x[filtered]) > min(along_x["max2"])
        assert min(consistency[filtered]) < max(consistency["max2"])
    for kind in ("max2", "max_blur3", "max_blur5", "blur3"):
        assert max(consistency["stride2"]) < min(consistency[kind])
    accuracy = {
        kind: np.mean(by_seed("pooling", f"cnn_pooling:{kind}", "clean", "accuracy"))
        for kind in (*kinds, "stride2", "dense")
    }
    assert max(accuracy, key=accuracy.__getitem__) == "dense"
    everyone = [
        np.mean(values(kind, "jaggedness", "realistic shift along y"))
        for kind in (*kinds[1:], "stride2", "dense")
    ]
    y, x = ({kind: np.mean(found) for kind, found in along.items()} for along in (along_y, along_x))
    says(
        f"from {y['max2']:.3f} flips/image with `max2` to {y['max_blur3']:.3f} with `max_blur3` "
        f"and {y['max_blur5']:.3f} with `max_blur5`",
        f"from {x['max2']:.3f} to {x['max_blur3']:.3f} and {x['max_blur5']:.3f}, and",
        f"A bare stride has {100 * np.mean(consistency['stride2']):.1f} % consistency",
        f"has {100 * np.mean(consistency['dense']):.1f} % and the highest accuracy",
        f"{y['all_conv_global']:.3f} flips/image along y, where the others have "
        f"{min(everyone):.3f} to {max(everyone):.3f}",
    )


def test_depth_and_stride():
    def model(layers, downsamplings):
        changed = {"model.downsamplings": (downsamplings, 2), "model.layers": (layers, 4)}
        found = [f"{name}={value}" for name, (value, usual) in changed.items() if value != usual]
        return "cnn_pooling:max2" + (f" ({', '.join(found)})" if found else "")

    def value(name, suite, metric, condition):
        return mean("depth_and_stride", name, suite, metric, condition)

    phases = [
        value(model(4, count), "layer_equivariance", "shiftability error", "last layer")
        for count in range(4)
    ]
    assert phases[0] == 0.0
    assert sorted(phases) == phases
    says(f"from not at all to {phases[3]:.2f}")
    depths = [model(layers, 1) for layers in (2, 4, 6, 8)]
    accuracy = [value(name, "clean", "accuracy", "") for name in depths]
    assert sorted(accuracy) == accuracy
    two, four, six, eight = (
        100.0 * value(name, "small_shifts", "consistency", "realistic shifts") for name in depths
    )
    says(f"({two:.1f}, {four:.1f}, {six:.1f} and {eight:.1f} % with 2, 4, 6 and 8 layers)")


def test_small_shifts():
    changed = {
        name: 100.0
        - 100.0
        * mean("robustness", f"mnist:{name}", "small_shifts", "consistency", "realistic shifts")
        for name in ("capsnet", "cnn", "cnn_9x9", "cnn_matched")
    }
    says(
        f"{changed['capsnet']:.1f} % get different classes from CapsNet, {changed['cnn']:.1f} % "
        f"from the small CNN, {changed['cnn_9x9']:.1f} % from `cnn_9x9` and "
        f"{changed['cnn_matched']:.1f} % from `cnn_matched`"
    )


def test_few_examples():
    def accuracy(network, count):
        name = f"few_examples:{network},{count}"
        return [100.0 * value for value in by_seed("few_examples", name, "clean", "accuracy")]

    for count in (300, 1000, 3000, 10000):
        assert abs(np.mean(accuracy("capsnet", count)) - np.mean(accuracy("cnn", count))) < 0.3
    (capsnet,) = accuracy("capsnet", 100)
    small = accuracy("cnn", 100)
    behind = {
        count: np.mean(accuracy("cnn", count)) - np.mean(accuracy("st_cnn", count))
        for count in (100, 1000, 10000)
    }
    assert -0.1 < behind[10000] < 0.0
    says(
        f"CapsNet is {min(small) - capsnet:.1f} to {max(small) - capsnet:.1f} points below the",
        f"is {behind[100]:.1f} points below that of the small CNNs on 100 images, "
        f"{behind[1000]:.1f} on 1,000",
    )


def test_claims():
    names = ("capsnet", "cnn_400k", "cnn_9x9", "cnn_matched", "cnn", "st_cnn")
    turned = [
        value
        for name in names
        for angle in (-90.0, 90.0)
        for value in by_seed("robustness", f"mnist:{name}", "rotation", "accuracy", strength=angle)
    ]
    says(f"right about more than {np.ceil(100 * max(turned)):.0f} % of the images")
    light = {
        name: 100.0
        * mean("robustness", f"mnist:{name}", "brightness_and_contrast", "accuracy", "brightness")
        for name in names
    }
    capsnet = light.pop("capsnet")
    says(
        f"CapsNet has {capsnet:.1f} % on average",
        f"the five CNNs {min(light.values()):.0f} to {max(light.values()):.0f} %",
    )


def test_adversaries_and_detection():
    def robust(model, condition, strength=None):
        found = by_seed(
            "adversarial", f"mnist:{model}", "adversarial", "robust accuracy", condition, strength
        )
        return [100.0 * value for value in found]

    def refused(model, condition):
        metric = "false alarm rate" if condition == "clean" else "detection rate"
        found = by_seed("adversarial", f"mnist:{model}", "detection", metric, condition)
        return [100.0 * value for value in found]

    fgsm, pgd = robust("capsnet", "FGSM"), robust("capsnet", "PGD")
    cnns = robust("cnn", "PGD") + robust("st_cnn", "PGD")
    far = [value for name in ("capsnet", "cnn", "st_cnn") for value in robust(name, "PGD", 0.3)]
    single = robust("capsnet", "FGSM", 0.3)
    found, knowing = refused("capsnet", "PGD"), refused("capsnet", "adaptive PGD")
    (control,) = refused("cnn_decoder", "PGD")
    (control_knowing,) = refused("cnn_decoder", "adaptive PGD")
    assert max(knowing) < max(refused("capsnet", "clean")) + 1.0
    assert control_knowing < refused("cnn_decoder", "clean")[0]
    says(
        f"CapsNet's three trainings keep {min(fgsm):.1f} to {max(fgsm):.1f} %, means over radii",
        f"under PGD {min(pgd):.1f} to {max(pgd):.1f} %, where the six of `cnn` and `st_cnn` keep "
        f"{min(cnns):.1f} to {max(cnns):.1f} %",
        f"no training keeps more than {max(far):.0f} % under PGD, CapsNet {min(single):.0f} to "
        f"{max(single):.0f} % under FGSM",
        f"detects {min(found):.1f} to {max(found):.1f} % of PGD's images",
        f"(`mnist:cnn_decoder`) {control:.1f} %; of images by the adaptive attack "
        f"{min(knowing):.1f} to {max(knowing):.1f} and {control_knowing:.1f} %",
    )
