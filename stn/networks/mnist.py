"""The paper's MNIST networks: FCN, CNN, and each behind one or more spatial transformers.

Section 4.1 and appendices A.1 and A.4 of Jaderberg et al. (2015). All have 400,000 parameters
there; the printed widths do not lead to that number, so it is what is given here, and the
classifier's width follows from it.
"""

import dataclasses

import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn import Output, Warp, classification_loss, pool, validation
from cnn.parameter_budget import build_matched
from stn.layers.iterated import IteratedTransformer
from stn.layers.localisation import ConvolutionalLocalisation, DenseLocalisation
from stn.layers.parallel import ParallelTransformed, ParallelTransformers
from stn.layers.transformer import SpatialTransformer
from stn.networks.classifiers import ConvolutionalClassifier, DenseClassifier
from stn.penalties import collapse_penalty, identity_penalty, outside_penalty
from stn.transforms import (
    Affine,
    Attention,
    BoundedAffine,
    ExponentialAffine,
    Projective,
    Similarity,
    ThinPlateSpline,
    Transform,
    Translation,
)

TRANSFORMS: dict[str, Transform] = {
    "affine": Affine(),
    "projective": Projective(),
    "tps": ThinPlateSpline(),
    "attention": Attention(),
    "similarity": Similarity(),
    "translation": Translation(),
    "exponential": ExponentialAffine(),
    "bounded": BoundedAffine(),
}
CLASSIFIERS = {"fcn": DenseClassifier, "cnn": ConvolutionalClassifier}


@dataclasses.dataclass
class TransformerNetworkConfig:
    """Architecture of a `TransformerNetwork`, or of its classifier alone.

    Attributes:
        classifier: "fcn" or "cnn"; it decides the kind of the localisation networks too.
        transform: A name of `TRANSFORMS`.
        transformers: Number of transformers side by side on the image; 0 for the classifier alone.
        steps: Updates of each transformer; more than one makes them `IteratedTransformer`s.
        pooling: Whether the transformers' output is halved by average pooling, as in the paper for
            the tasks RTS and TC.
        coordinates: Whether convolutional localisation networks receive the pixels' coordinates.
        parameters: Of the whole network; the nearest width of the classifier is taken.
        identity_penalty: Weight of `stn.identity_penalty` in the loss.
        outside_penalty: Weight of `stn.outside_penalty`.
        collapse_penalty: Weight of `stn.collapse_penalty`.
    """

    classifier: str = "cnn"
    transform: str = "affine"
    transformers: int = 1
    steps: int = 1
    pooling: bool = False
    coordinates: bool = False
    parameters: int = 400_000
    identity_penalty: float = 0.0
    outside_penalty: float = 0.0
    collapse_penalty: float = 0.0

    def build(
        self, image_shape: tuple[int, ...], num_classes: int, rngs: nnx.Rngs
    ) -> "ClassifierNetwork | TransformerNetwork":
        """Creates the network for images of (height, width, channels)."""
        self.check()
        validation.check_task(image_shape, num_classes)
        validation.check_side(image_shape, self.smallest_side, "the network")
        network = TransformerNetwork if self.transformers else ClassifierNetwork
        return build_matched(network, self, image_shape, num_classes, rngs)

    def check(self) -> None:
        """Raises a `ValueError` for a value that no network can have."""
        few, flag, weight = validation.MAX_UNROLLED, validation.flag, validation.weight
        validation.check(
            self,
            classifier=validation.one_of(*CLASSIFIERS),
            transform=validation.one_of(*TRANSFORMS),
            transformers=validation.whole(0, few),
            steps=validation.whole(most=few),
            pooling=flag,
            coordinates=flag,
            parameters=validation.whole(most=validation.MAX_PARAMETERS),
            identity_penalty=weight,
            outside_penalty=weight,
            collapse_penalty=weight,
        )

    @property
    def smallest_side(self) -> int:
        """Height and width of the smallest images of which the layers leave anything."""
        classifier = CLASSIFIERS[self.classifier].smallest_side
        if not self.transformers:
            return classifier
        localisation = DenseLocalisation if self.classifier == "fcn" else ConvolutionalLocalisation
        # The collapse penalty compares neighbouring points.
        least = 2 if self.collapse_penalty else 1
        return max(localisation.smallest_side, classifier * (2 if self.pooling else 1), least)


class ClassifierNetwork(nnx.Module):
    """A classifier without a transformer: what the others are compared with.

    Args:
        config: Its kind.
        image_shape: Height, width and channels of the images.
        num_classes: Number of classes.
        width: Of the classifier.
        rngs: Source of the initial values.
    """

    def __init__(
        self,
        config: TransformerNetworkConfig,
        image_shape: tuple[int, ...],
        num_classes: int,
        *,
        width: int,
        rngs: nnx.Rngs,
    ):
        self.classifier = CLASSIFIERS[config.classifier](
            image_shape, num_classes, width=width, rngs=rngs
        )

    def __call__(self, images: Num[ArrayLike, "batch height width channels"]) -> Output:
        """Classifies images in [0, 1]."""
        return self.classifier(images)

    def activations(
        self, images: Num[ArrayLike, "batch height width channels"]
    ) -> dict[str, Float[Array, "batch ..."]]:
        """Activations of every hidden layer, by name and in their order."""
        return self.classifier.layers(images)

    def loss(self, batch) -> tuple[Float[Array, ""], dict[str, Num[Array, ""]]]:
        """Softmax cross-entropy and accuracy of a batch; see `cnn.classification_loss`."""
        return classification_loss(self(batch.images).logits, batch.labels)


class TransformerNetwork(nnx.Module):
    """Transformers side by side, average pooling if asked for, a classifier.

    Args:
        config: The architecture.
        image_shape: Height, width and channels of the images.
        num_classes: Number of classes.
        width: Of the classifier.
        rngs: Source of the initial values.
    """

    def __init__(
        self,
        config: TransformerNetworkConfig,
        image_shape: tuple[int, ...],
        num_classes: int,
        *,
        width: int,
        rngs: nnx.Rngs,
    ):
        height, image_width, channels = image_shape
        self.transformers = ParallelTransformers(
            _transformer(config, image_shape, rngs) for _ in range(config.transformers)
        )
        self.pooling = "average2" if config.pooling else "none"
        shrink = 2 if config.pooling else 1
        self.classifier = CLASSIFIERS[config.classifier](
            (height // shrink, image_width // shrink, channels * config.transformers),
            num_classes,
            width=width,
            rngs=rngs,
        )
        self.penalties = tuple(
            (weight, penalty)
            for weight, penalty in (
                (config.identity_penalty, identity_penalty),
                (config.outside_penalty, outside_penalty),
                (config.collapse_penalty, collapse_penalty),
            )
            if weight
        )

    def __call__(self, images: Num[ArrayLike, "batch height width channels"]) -> Output:
        """Classifies images in [0, 1]; the features are its last layer's input."""
        return self._read(self.transformers(images))

    def _read(self, transformed: ParallelTransformed) -> Output:
        """The output for the images that the transformers resampled."""
        warp = Warp(
            jnp.stack([one.images for one in transformed.each], axis=1),
            jnp.stack([one.grid for one in transformed.each], axis=1),
        )
        return self.classifier(pool(transformed.images, self.pooling))._replace(warp=warp)

    def loss(self, batch) -> tuple[Float[Array, ""], dict[str, Num[Array, ""]]]:
        """Softmax cross-entropy plus the penalties, each a mean over the transformers."""
        transformed = self.transformers(batch.images)
        loss, metrics = classification_loss(self._read(transformed).logits, batch.labels)
        for weight, penalty in self.penalties:
            value = sum(penalty(one.grid) for one in transformed.each) / len(transformed.each)
            loss, metrics = loss + weight * value, {**metrics, penalty.__name__: value}
        return loss, metrics

    def activations(
        self, images: Num[ArrayLike, "batch height width channels"]
    ) -> dict[str, Float[Array, "batch ..."]]:
        """The transformed images, and the activations of every hidden layer on them."""
        transformed = pool(self.transformers(images).images, self.pooling)
        return {"transformed": transformed, **self.classifier.layers(transformed)}


def _transformer(config, image_shape, rngs):
    localisation = (
        DenseLocalisation(image_shape, rngs=rngs)
        if config.classifier == "fcn"
        else ConvolutionalLocalisation(image_shape, coordinates=config.coordinates, rngs=rngs)
    )
    transform = TRANSFORMS[config.transform]
    if config.steps == 1:
        return SpatialTransformer(localisation, transform, rngs=rngs)
    return IteratedTransformer(localisation, transform, steps=config.steps, rngs=rngs)
