"""Targeted attack by a universal adversarial patch, pasted anywhere.

Brown et al. (2017): a patch is trained on validation images for each of a few target classes, in
expectation over place, angle and size; an attack succeeds on a test image of another class if the
model then predicts the target. Controls are patches of that size that were not trained: one of
noise, a white one, and an image of the target class, which a model may rightly predict.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from data.dataset import Dataset, Split
from evaluation.applicability import NotApplicable
from evaluation.attacks import patches
from evaluation.attacks.search import SHOWN, in_batches
from evaluation.model import Differentiable, Predictor, predict_all
from evaluation.perturbations.curve import SEED
from evaluation.results.artifacts import Images
from evaluation.results.quantities import Axis, Metric, shares
from evaluation.results.result import Result, mean

REQUIRES = ("images", "differentiable")
PASSES = 600
AREAS = (0.0, 2.0, 5.0, 10.0, 20.0)
"""Of the patch, in per cent of the image."""
AREA = Axis("area of the patch", "% of the image", identity=0.0)
TARGETED_ATTACK_SUCCESS_RATE = Metric("targeted attack success rate", higher_is_better=False)
TARGETS = 3
TRAINED, NOISE, WHITE, PASTED = "trained patch", "noise", "white", "image of the target class"
# Images that are pasted on at once.
_CHUNK = 250

_paste = jax.jit(patches.paste)


def evaluate(predict: Predictor, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """Measures the success rate of patches by their area.

    Raises:
        NotApplicable: where no class has validation images beside which there are others, of
            validation and of test, to attack.
    """
    model = predict.differentiable
    assert model is not None  # as required
    targets = _targets(dataset)
    if not len(targets):
        raise NotApplicable("validation and test images have no class that others could show")
    shown = _controls(dataset, targets) | {TRAINED: _train(model, dataset, targets)}
    hits = {
        (name, area): _hits(predict, dataset.test, shown[name], targets, area, batch_size)
        for name in (TRAINED, PASTED, NOISE, WHITE)
        for area in AREAS
    }
    others = dataset.test.labels != targets[:, None]
    flags = _suspicions({key: _share(each, others) for key, each in hits.items()})
    facts: dict[tuple[str, float], dict[str, Any]]
    facts = {(TRAINED, area): {"flags": flags} for area in AREAS}
    facts[TRAINED, max(AREAS)]["artifacts"] = _pictures(dataset.test, shown[TRAINED], targets)
    return [
        _result(name, area, each, others, dataset.test, targets, facts.get((name, area), {}))
        for (name, area), each in hits.items()
    ]


def _targets(dataset: Dataset) -> np.ndarray:
    """Chooses a few classes from the first to the last, evenly.

    Of those that validation images have, for one is pasted, beside others, to train and to test on.
    """
    available, tested = dataset.validation.labels, dataset.test.labels
    possible = [k for k in np.unique(available) if np.any(available != k) and np.any(tested != k)]
    if not possible:
        return np.array([], int)
    places = np.linspace(0, len(possible) - 1, TARGETS).astype(int)
    return np.unique(np.array(possible)[places])


def _train(model: Differentiable, dataset: Dataset, targets: np.ndarray) -> list[np.ndarray]:
    """Trains a patch `[1, side, side, channels]` for each target."""
    limits = (min(filter(None, AREAS)) / 100.0, max(AREAS) / 100.0)
    return [
        patches.train_patch(
            model, dataset.validation, int(target), limits, name=f"patch for class {target}"
        )[None]
        for target in targets
    ]


def _controls(dataset: Dataset, targets: np.ndarray) -> dict[str, list[np.ndarray]]:
    """Makes `[patches, side, side, channels]` for each target, which images get in turn."""
    random, validation = np.random.default_rng(SEED), dataset.validation
    pasted = []
    for target in targets:
        (of_class,) = np.nonzero(validation.labels == target)
        chosen = random.choice(of_class, len(dataset.test))
        pasted.append(validation.images[chosen] / np.float32(255.0))
    channels = validation.images.shape[-1]
    return {PASTED: pasted, **{name: [each] * len(targets) for name, each in _plain(channels)}}


def _plain(channels: int) -> Iterator[tuple[str, np.ndarray]]:
    """Makes the patches that do not depend on a class."""
    shape = (1, patches.SIDE, patches.SIDE, channels)
    yield NOISE, np.random.default_rng(SEED).uniform(size=shape).astype(np.float32)
    yield WHITE, np.ones(shape, np.float32)


def _hits(predict, test: Split, shown, targets, area: float, batch_size: int) -> np.ndarray:
    """Tests for `[targets, images]` if the model predicts the target of an image with its patch."""
    predictions: dict[int, np.ndarray] = {}
    for each in shown:
        # Those that do not depend on a class are the same for all targets.
        if id(each) not in predictions:
            images = paste_all(test, each, area)
            logits = predict_all(predict, images, batch_size=batch_size, name=f"patch {area:g} %")
            predictions[id(each)] = np.argmax(logits, axis=-1)
    return np.stack(
        [predictions[id(each)] == target for each, target in zip(shown, targets, strict=True)]
    )


def paste_all(split: Split, shown: np.ndarray, area: float) -> np.ndarray:
    """Pastes patches onto all images of a split, each at a place of its own.

    Args:
        split: `[count]` uint8 images.
        shown: `[patches, side, side, channels]`, which images get in turn.
        area: In per cent of the image.

    Returns:
        float32 in [0, 1].
    """

    def one_batch(images, labels, chosen):
        places = patches.draw_places(jnp.asarray(chosen))
        areas = np.full(len(chosen), area / 100.0, np.float32)
        return (_paste(images, jnp.asarray(shown[chosen % len(shown)]), places, areas),)

    return in_batches(one_batch, split, batch_size=_CHUNK, name="paste")[0]


def _pictures(test: Split, trained: list[np.ndarray], targets: np.ndarray) -> tuple[Images, ...]:
    """Shows the patches, and a few images with each."""
    few = Split(test.images[:SHOWN], test.labels[:SHOWN])
    area, classes = max(AREAS), ", ".join(str(target) for target in targets)
    pasted = (
        Images(
            paste_all(few, each, area), label=f"patch for class {target}, {area:g} % of the image"
        )
        for target, each in zip(targets, trained, strict=True)
    )
    return (
        Images(np.concatenate(trained), label=f"trained patches for classes {classes}"),
        *pasted,
    )


def _share(hits: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Averages over the targets that are not an image's own class, `[images]`."""
    return np.sum(hits & others, axis=0) / np.maximum(np.sum(others, axis=0), 1)


def _suspicions(shares: Mapping[tuple[str, float], np.ndarray]) -> tuple[str, ...]:
    """Lists signs that the trained patches are weaker than they could be."""
    largest = max(AREAS)
    trained = np.mean(shares[TRAINED, largest])
    better = [name for name in (PASTED, NOISE, WHITE) if np.mean(shares[name, largest]) > trained]
    if better:
        return (
            f"the largest patch succeeds less often than that of {', '.join(better)}: "
            "its training may have failed",
        )
    return ()


def _result(name, area, hits, others, test: Split, targets, facts) -> Result:
    share = _share(hits, others)
    return mean(
        "patch",
        TARGETED_ATTACK_SUCCESS_RATE,
        share,
        test,
        interval_method="bootstrap of images 95 %",
        details=shares(
            **{
                f"class {target}": np.mean(hit[other])
                for target, hit, other in zip(targets, hits, others, strict=True)
                if other.any()
            }
        ),
        condition=name,
        strength=area,
        axis=AREA,
        definition=_definition(name, targets),
        **facts,
    )


def _definition(name: str, targets: np.ndarray) -> dict[str, Any]:
    definition = {
        "targets": targets.tolist(),
        "images": "of all classes but the target's",
        "place": "uniform, the whole patch inside",
        "largest angle, degrees": patches.MAX_ROTATION,
    }
    if name == TRAINED:
        definition |= {
            "steps": patches.STEPS,
            "batch": patches.BATCH,
            "learning rate": patches.LEARNING_RATE,
            "side, pixels": patches.SIDE,
        }
    return definition


def examples(images: np.ndarray) -> dict[str, np.ndarray]:
    """Shows images with patches that were not trained, at every area."""
    levels = np.round(255.0 * np.asarray(images)).astype(np.uint8)
    split = Split(levels, np.zeros(len(levels), np.int32))
    return {
        f"{name}, {area:g} %": paste_all(split, each, area)
        for name, each in _plain(levels.shape[-1])
        for area in AREAS
    }
