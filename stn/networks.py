"""The paper's MNIST networks: FCN, CNN, and each behind one or more spatial transformers.

Section 4.1 and appendices A.1 and A.4 of Jaderberg et al. (2015). All have 400,000 parameters
there; the printed widths do not lead to that number, so it is what is given here, and the
classifier's width follows from it.
"""

import dataclasses
from typing import NamedTuple

from flax import nnx
from jaxtyping import Array, Float, Num

from cnn import classification_loss, match_width, pool
from stn.classifiers import ConvolutionalClassifier, DenseClassifier
from stn.localisation import ConvolutionalLocalisation, DenseLocalisation
from stn.parallel import ParallelTransformed, ParallelTransformers
from stn.transformer import SpatialTransformer
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
    """Architecture of a `TransformerNetwork`.

    Attributes:
        classifier: "fcn" or "cnn"; it decides the kind of the localisation networks too.
        transform: A name of `TRANSFORMS`.
        transformers: How many transformers side by side look at the image; 0 for the classifier
            alone.
        pooling: Whether the transformers' output is halved by average pooling, as in the paper for
            the tasks RTS and TC.
        coordinates: Whether convolutional localisation networks see the coordinates of the pixels.
        parameters: Of the whole network; the nearest width of the classifier is taken.
    """

    classifier: str = "cnn"
    transform: str = "affine"
    transformers: int = 1
    pooling: bool = False
    coordinates: bool = False
    parameters: int = 400_000

    def build(
        self, image_shape: tuple[int, ...], num_classes: int, rngs: nnx.Rngs
    ) -> "TransformerNetwork":
        """Creates the network for images of (height, width, channels)."""
        _check_names(self)

        def network(width: int, rngs: nnx.Rngs):
            return TransformerNetwork(self, image_shape, num_classes, width=width, rngs=rngs)

        width = match_width(lambda width: network(width, nnx.Rngs(0)), self.parameters)
        return network(width, rngs)


def _check_names(config: TransformerNetworkConfig) -> None:
    for field, choices in (("classifier", CLASSIFIERS), ("transform", TRANSFORMS)):
        value = getattr(config, field)
        if value not in choices:
            raise ValueError(f"{field}={value!r}: choose one of {', '.join(choices)}")
    if config.transformers < 0:
        raise ValueError(f"transformers={config.transformers}: must be at least 0")


class TransformerNetworkOutput(NamedTuple):
    """What the network says of a batch.

    Attributes:
        logits: Of the classes.
        transformed: What its transformers did, or None if it has none.
    """

    logits: Float[Array, "batch classes"]
    transformed: ParallelTransformed | None


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
        self.transformers = (
            ParallelTransformers(
                SpatialTransformer(
                    _localisation(config, image_shape, rngs),
                    TRANSFORMS[config.transform],
                    rngs=rngs,
                )
                for _ in range(config.transformers)
            )
            if config.transformers
            else None
        )
        self.pooling = "average2" if config.pooling and config.transformers else "none"
        seen = (height, image_width, channels * max(config.transformers, 1))
        if self.pooling != "none":
            seen = (height // 2, image_width // 2, seen[-1])
        self.classifier = CLASSIFIERS[config.classifier](seen, num_classes, width=width, rngs=rngs)

    def __call__(
        self, images: Float[Array, "batch height width channels"]
    ) -> TransformerNetworkOutput:
        """Classifies images in [0, 1]."""
        transformed = None
        if self.transformers is not None:
            transformed = self.transformers(images)
            images = pool(transformed.images, self.pooling)
        return TransformerNetworkOutput(self.classifier(images), transformed)

    def loss(self, batch) -> tuple[Float[Array, ""], dict[str, Num[Array, ""]]]:
        """Softmax cross-entropy and accuracy of a batch; see `cnn.classification_loss`."""
        return classification_loss(self(batch.images).logits, batch.labels)


def _localisation(config, image_shape, rngs):
    if config.classifier == "fcn":
        return DenseLocalisation(image_shape, rngs=rngs)
    return ConvolutionalLocalisation(image_shape, coordinates=config.coordinates, rngs=rngs)
