"""Spatial transformers that find what images have in common, without supervision of its place.

Appendix A.2 of Jaderberg et al. (2015): a transformer attends to a window of each image; the
windows of two images shall look more alike to an encoder than a window and a random crop do.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Num

from cnn import Convolution, Output, Warp, classification_loss, dense, pool, validation
from cnn.arrays import alike, as_images, check_axes, check_same_shape, flatten
from cnn.pooling import average_pool
from stn.layers.transformer import SpatialTransformer, Transformed
from stn.networks.classifiers import ConvolutionalClassifier
from stn.transforms import Attention

# Sampling points for each pixel of a window, along each side.
_FINER = 3


@dataclasses.dataclass
class CoLocaliserConfig:
    """Architecture and schedule of a `CoLocaliser`.

    Attributes:
        window: Height and width of the windows, in pixels: the encoder's input.
        width: Filters of the encoder's convolutions.
        margin: Of the triplets.
        first_scale: Of the windows at the start, 1 being the whole image.
        scale_penalty: Weight of the squared relative distance of the windows' scale from that of
            the schedule.
        warmup_steps: Training steps in which only the encoder learns.
        zoom_start: Step at which the schedule's scale leaves `first_scale`.
        zoom_end: Step at which it reaches that of windows at the image's own resolution.
    """

    window: int = 28
    width: int = 16
    margin: float = 1.0
    first_scale: float = 2.0
    scale_penalty: float = 5.0
    warmup_steps: int = 200
    zoom_start: int = 500
    zoom_end: int = 1300

    def build(
        self, image_shape: tuple[int, ...], num_classes: int, rngs: nnx.Rngs
    ) -> "CoLocaliser":
        """Creates the network for images of (height, width, channels)."""
        return CoLocaliser(self, image_shape, num_classes, rngs=rngs)

    def check(self) -> None:
        """Raises a `ValueError` for a value that no network can have."""
        step = validation.whole(0, 2**31 - 1)
        validation.check(
            self,
            window=validation.whole(ConvolutionalClassifier.smallest_side, 1024),
            width=validation.whole(),
            margin=validation.weight,
            first_scale=validation.number(0.0, 1e3, beyond=True),
            scale_penalty=validation.weight,
            warmup_steps=step,
            zoom_start=step,
            zoom_end=step,
        )
        if self.zoom_end <= self.zoom_start:
            raise ValueError(
                f"zoom_end={self.zoom_end}: must be above zoom_start={self.zoom_start}"
            )


class WindowLocalisation(nnx.Module):
    """8 filters of 9x9 with stride 4, max pooling by 2, two dense layers of 8; ReLU between them.

    With the regression to three parameters these are 5,947 parameters on 84x84 grey pixels; the
    paper speaks of 100,000, which its layers do not reach.

    Args:
        image_shape: Height, width and channels of the images.
        rngs: Source of the initial values.

    Raises:
        ValueError: if the images are too small for the layers.
    """

    num_features = 8
    smallest_side = 13

    def __init__(self, image_shape: tuple[int, ...], *, rngs: nnx.Rngs):
        validation.check_shape(image_shape)
        self.image_shape = image_shape
        layers = "the localisation network's 9x9 convolution of stride 4 and its pooling"
        validation.check_side(image_shape, self.smallest_side, layers)
        self.convolution = Convolution(image_shape[-1], 8, 9, strides=4, rngs=rngs)
        features = jax.eval_shape(self._convolve, jnp.zeros((1, *image_shape)))
        self.first = dense(features.size, 8, rngs=rngs)
        self.second = dense(8, 8, rngs=rngs)

    def _convolve(self, images):
        images = as_images(images, self.image_shape)
        features = pool(nnx.relu(self.convolution(images)), "max2")
        return flatten(features)

    def __call__(
        self, images: Num[ArrayLike, "batch height width channels"]
    ) -> Float[Array, "batch features"]:
        """Features of each image."""
        return nnx.relu(self.second(nnx.relu(self.first(self._convolve(images)))))


class CoLocaliser(nnx.Module):
    """A transformer that attends to a window, and an encoder that classifies it.

    The encoder learns from the classes of ordinary digits alone, the transformer from triplets of
    windows alone. In the paper the encoder is trained beforehand; here both train in one run, the
    transformer only after `warmup_steps`, and the triplets' gradients do not reach the encoder.

    The triplets alone do not find the digits: windows look most alike where they are blank,
    and of aligned windows the larger ones look more alike. At the start, moreover, their gradient
    hardly points at the digits, unless the windows are large and read without aliasing. So the
    windows start at `first_scale`, where they cover the digits wherever these are and learn to
    centre them, and a penalty then leads their scale to that of the image's own pixels. Each pixel
    of a window is the mean of 3x3 points. The paper mentions neither.

    Args:
        config: The architecture.
        image_shape: Height, width and channels of the images, which are square.
        num_classes: Of the digits.
        rngs: Source of the initial values.

    Raises:
        ValueError: if the images are too small for the localisation network, or a field has a value
            that no network can have.
    """

    def __init__(
        self,
        config: CoLocaliserConfig,
        image_shape: tuple[int, ...],
        num_classes: int,
        *,
        rngs: nnx.Rngs,
    ):
        config.check()
        validation.check_task(image_shape, num_classes)
        self.image_shape = image_shape
        self.transformer = SpatialTransformer(
            WindowLocalisation(image_shape, rngs=rngs),
            Attention(),
            initial=(config.first_scale, 0.0, 0.0),
            output_size=(_FINER * config.window, _FINER * config.window),
            rngs=rngs,
        )
        self.encoder = ConvolutionalClassifier(
            (config.window, config.window, image_shape[-1]),
            num_classes,
            width=config.width,
            rngs=rngs,
        )
        self.steps_done = nnx.Variable(jnp.zeros((), jnp.int32))
        self.margin = config.margin
        self.scale_penalty = config.scale_penalty
        self.warmup_steps = config.warmup_steps
        self.zoom = (config.zoom_start, config.zoom_end)
        self.scales = (config.first_scale, config.window / image_shape[0])

    def __call__(self, images: Num[ArrayLike, "batch height width channels"]) -> Output:
        """Classifies, by the encoder, the windows that are attended to in images in [0, 1]."""
        transformed = self.transformer(images)
        window = self._window(transformed)
        grid = average_pool(transformed.grid, (_FINER, _FINER))
        return self.encoder(window)._replace(warp=Warp(window[:, None], grid[:, None]))

    def loss(self, batch) -> tuple[Float[Array, ""], dict[str, Num[Array, ""]]]:
        """Cross-entropy of the encoder on digits plus, after the warm-up, hinge and scale penalty.

        Args:
            batch: With `images`, `partners`, `windows`, `digits` and `digit_labels`, see
                `data.tasks.colocalisation.CoLocalisationBatch`.

        Returns:
            The loss; the encoder's accuracy on the digits and the mean hinge as metrics.
        """
        loss, metrics = classification_loss(self.encoder(batch.digits).logits, batch.digit_labels)
        attended = self.transformer(jnp.concatenate([batch.images, batch.partners]))
        crops = self.transformer.warp(batch.images, batch.windows)
        windows = jnp.concatenate([self._window(attended), self._window(crops)])
        hinge = triplet_hinge(*jnp.split(self.encode(windows), 3), margin=self.margin)
        excess = attended.theta[:, 0] / self.scheduled_scale(self.steps_done[...]) - 1.0
        located = hinge + self.scale_penalty * jnp.mean(excess**2)
        started = self.steps_done[...] >= self.warmup_steps
        self.steps_done[...] += 1
        return loss + jnp.where(started, located, 0.0), {**metrics, "triplet": hinge}

    def scheduled_scale(self, step: Int[Array, ""]) -> Float[Array, ""]:
        """The windows' scale at a step: constant, then geometrically down, then constant."""
        (start, end), (first, last) = self.zoom, self.scales
        progress = jnp.clip((step - start) / (end - start), 0.0, 1.0)
        return first * (last / first) ** progress

    def encode(
        self, windows: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch features"]:
        """The activations of the encoder's three layers, each scaled to length 1, side by side.

        The paper does not say how the layers are weighted. As they come, the first layer's squared
        distances are in the hundreds and its margin of 1 means nothing; scaled, each layer adds at
        most 2. Gradients reach the windows but not the encoder's parameters.
        """
        graph, parameters, rest = nnx.split(self.encoder, nnx.Param, ...)
        frozen = nnx.merge(graph, jax.lax.stop_gradient(parameters), rest, copy=True)
        return jnp.concatenate(
            [_unit(layer) for layer in frozen.activations(windows)],
            axis=-1,
        )

    def _window(self, transformed: Transformed):
        return average_pool(transformed.images, (_FINER, _FINER))


def triplet_hinge(
    anchors: Num[ArrayLike, "batch features"],
    partners: Num[ArrayLike, "..."],
    randoms: Num[ArrayLike, "..."],
    *,
    margin: float,
) -> Float[Array, ""]:
    """Mean of max(0, |anchor - partner|^2 - |anchor - random|^2 + margin), as in appendix A.2.

    Raises:
        ValueError: if the three have not one shape `[batch, features]`.
    """
    anchors, partners, randoms = alike(anchors, partners, randoms)
    check_axes("anchors", anchors, "batch features")
    check_same_shape(partners=partners, anchors=anchors)
    check_same_shape(randoms=randoms, anchors=anchors)
    near = jnp.sum((anchors - partners) ** 2, axis=-1)
    far = jnp.sum((anchors - randoms) ** 2, axis=-1)
    return jnp.mean(nnx.relu(near - far + margin))


def _unit(features):
    # The square root has no derivative at zero, where no unit of a layer is active.
    square = jnp.sum(features**2, axis=-1, keepdims=True)
    return features * jax.lax.rsqrt(jnp.maximum(square, 1e-12))
