"""The capsule network of Sabour, Frosst and Hinton, "Dynamic routing between capsules" (2017).

Two presets: `paper` follows the text, `sabour_code` the authors' released TensorFlow code, which
differs in the scale of the loss, in a factor of 1/32 before the primary capsules' squash, in
biases and in initialisers.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Num

from capsnet import losses
from capsnet.networks import construction
from capsnet.routing import DynamicRouting, Routing
from capsnet.routing.base import check_routing
from capsnet.vectors import length
from capsnet.votes import mean_squashed_votes
from cnn import Convolution, validation
from cnn.arrays import as_float, as_images, as_labels
from cnn.losses import accuracy, multi_hot
from cnn.output import Output, log_probabilities

# A class capsule's length at the two dead ends of the margin loss: with ten classes the loss sits
# at 0.81 when every length is 0 and at 3.645 when every length is 1.
_DEAD_LENGTH = 0.0
_SATURATED_LENGTH = 1.0


@dataclasses.dataclass
class CapsNetConfig:
    """Architecture and loss of a `CapsNet`.

    Attributes:
        convolution_channels: Channels of the first convolution.
        kernel_size: Of both convolutions, in pixels.
        primary_types: Types of primary capsules.
        primary_dim: Components of a primary capsule.
        primary_stride: Of the primary capsules' convolution, in pixels.
        primary_coupling: Whether the primary capsules' convolution is scaled by one over the
            number of types, as the released code does.
        class_dim: Components of a class capsule.
        class_bias: Whether class capsules have a bias inside the routing.
        routing: From primary to class capsules.
        margin_weight: Weight of the margin loss.
        margin_reduction: Over classes: "sum" (the paper) or "mean" (the released code).
        reconstruction_weight: Weight of the summed squared pixel error; 0 leaves the decoder out.
        decoder_widths: Of the decoder's hidden layers.
        initializers: "he" (He's normal, biases zero; see `DenseCapsules` for its matrices) or
            "sabour_code" (truncated normals of deviation 0.05 and 0.1, biases 0.1).
        dtype: Compute type of convolutions, votes and decoder, "float32" or "bfloat16"; squash,
            routing and losses stay in float32.
    """

    convolution_channels: int = 256
    kernel_size: int = 9
    primary_types: int = 32
    primary_dim: int = 8
    primary_stride: int = 2
    primary_coupling: bool = False
    class_dim: int = 16
    class_bias: bool = False
    routing: Routing = dataclasses.field(default_factory=DynamicRouting)
    margin_weight: float = 1.0
    margin_reduction: str = "sum"
    reconstruction_weight: float = 0.0005
    decoder_widths: tuple[int, ...] = (512, 1024)
    initializers: str = "he"
    dtype: str = "float32"

    def build(
        self, image_shape: tuple[int, int, int], num_classes: int, rngs: nnx.Rngs
    ) -> "CapsNet":
        """Creates the network for images of (height, width, channels)."""
        return CapsNet(self, image_shape, num_classes, rngs=rngs)

    def check(self) -> None:
        """Raises a `ValueError` for a value that no network can have."""
        size, weight, flag = validation.whole(), validation.weight, validation.flag
        validation.check(
            self,
            convolution_channels=size,
            kernel_size=size,
            primary_types=size,
            primary_dim=size,
            primary_stride=size,
            primary_coupling=flag,
            class_dim=size,
            class_bias=flag,
            margin_weight=weight,
            margin_reduction=validation.one_of("sum", "mean"),
            reconstruction_weight=weight,
            decoder_widths=validation.each(size),
            initializers=validation.one_of("he", "sabour_code"),
            dtype=validation.one_of(*validation.DTYPES),
        )
        check_routing(self.routing)


def paper() -> CapsNetConfig:
    """The network as the paper describes it: 8,215,568 parameters on 28x28 grey images."""
    return CapsNetConfig()


def sabour_code() -> CapsNetConfig:
    """The network as the authors' released code builds it: 8,215,728 parameters.

    Its margin loss is 0.05 times the paper's with ten classes (half the mean over classes), at
    the same reconstruction weight: the decoder counts 20 times as much.
    """
    return CapsNetConfig(
        primary_coupling=True,
        class_bias=True,
        margin_weight=0.5,
        margin_reduction="mean",
        initializers="sabour_code",
    )


class CapsNet(nnx.Module):
    """Convolution, primary capsules, class capsules with dynamic routing, decoder.

    Args:
        config: Architecture and loss.
        image_shape: Height, width and channels of the images.
        num_classes: Number of class capsules.
        rngs: Source of the initial values.

    Raises:
        ValueError: if the images are too small for the two convolutions, or a field has a value
            that no network can have.
    """

    def __init__(
        self,
        config: CapsNetConfig,
        image_shape: tuple[int, int, int],
        num_classes: int,
        *,
        rngs: nnx.Rngs,
    ):
        config.check()
        validation.check_task(image_shape, num_classes)
        kernel = f"{config.kernel_size}x{config.kernel_size}"
        validation.check_side(image_shape, 2 * config.kernel_size - 1, f"two {kernel} convolutions")
        self.image_shape = image_shape
        self.num_classes = num_classes
        self.reconstruction_weight = config.reconstruction_weight
        # The weight of the margin loss in the paper's units, which sum over classes.
        self.margin_weight = config.margin_weight
        if config.margin_reduction == "mean":
            self.margin_weight /= num_classes
        init = construction.initializers(config.initializers)
        self.convolution = Convolution(
            image_shape[-1],
            config.convolution_channels,
            config.kernel_size,
            kernel_init=init["convolution"],
            bias_init=init["bias"],
            dtype=config.dtype,
            rngs=rngs,
        )
        self.primary_capsules = construction.primary_capsules(config, init, rngs)
        primary = jax.eval_shape(self._primary, jnp.zeros((1, *image_shape)))
        self.class_capsules = construction.class_capsules(
            config, init, primary.shape[1], num_classes, rngs
        )
        self.decoder = (
            construction.decoder(config, init, image_shape, num_classes, rngs)
            if config.reconstruction_weight
            else None
        )

    def _primary(self, images):
        return self.primary_capsules(nnx.relu(self.convolution(images)))

    def __call__(self, images: Num[ArrayLike, "batch height width channels"]) -> Output:
        """Finds the class capsules of images in [0, 1], and decodes the longest of each image.

        The lengths are the probabilities that an entity of each class is in the image, the logits
        their logarithms, and the features the longest capsule. There is a reconstruction if the
        network was built with a decoder.
        """
        primary = self._primary(as_images(images, self.image_shape))
        votes = self.class_capsules.votes(primary)
        poses, couplings, _ = self.class_capsules.route(votes, primary)
        lengths = length(poses)
        logits = log_probabilities(lengths)
        winners = jnp.argmax(logits, axis=-1)
        return Output(
            logits,
            probabilities=lengths,
            lengths=lengths,
            features=jnp.take_along_axis(poses, winners[:, None, None], axis=1)[:, 0],
            poses=poses,
            couplings=couplings,
            vote_logits=log_probabilities(length(mean_squashed_votes(votes))),
            reconstruction=None if self.decoder is None else self._decode(poses, winners),
            class_reconstructions=None if self.decoder is None else self._decode_each(poses),
        )

    def _decode(self, poses, labels):
        if self.decoder is None:
            raise ValueError("reconstruction_weight=0: this network has no decoder")
        mask = jax.nn.one_hot(labels, self.num_classes, dtype=poses.dtype)
        return self.decoder(poses, mask)

    def _decode_each(self, poses):
        def decode_one(label):
            return self._decode(poses, jnp.full(poses.shape[:1], label))

        return jax.vmap(decode_one, out_axes=1)(jnp.arange(self.num_classes))

    def reconstruct(
        self,
        output: Output,
        labels: Int[ArrayLike, "batch"] | None = None,
    ) -> Float[Array, "batch height width channels"]:
        """Decodes one class capsule of each image; pixels are in (0, 1).

        Args:
            output: The network's, of the images.
            labels: The class to decode, as in training; None takes the predicted class.

        Raises:
            ValueError: if the network was built without a decoder.
        """
        if labels is None:
            labels = jnp.argmax(output.logits, axis=-1)
        return self._decode(output.poses, as_labels(labels, output.logits.shape[0]))

    def activations(
        self, images: Num[ArrayLike, "batch height width channels"]
    ) -> dict[str, Float[Array, "batch ..."]]:
        """The maps of "convolution" and "primary capsules"; images may be of any size that fits.

        A place of the primary capsules' map has the components of all capsules there.
        """
        features = nnx.relu(self.convolution(as_float(images)))
        return {"convolution": features, "primary capsules": self.primary_capsules.map(features)}

    def loss(self, batch) -> tuple[Float[Array, ""], dict[str, Num[Array, ""]]]:
        """Margin loss plus weighted reconstruction error, mean over the batch.

        Args:
            batch: Has `.images` in [0, 1] and `.labels` (integers), `[batch]`; or of images of
                several objects `[batch, objects]`, and `.objects`, `[batch, objects, height,
                width, channels]`: each is reconstructed by itself, from the capsule of its label,
                and the errors are added up.

        Returns:
            The loss, and as metrics the batch's accuracy in [0, 1], the margin loss in the
            paper's units (equation 4), the mean length of the class capsules and the summed
            squared reconstruction error per image.
        """
        poses = self.class_capsules(self._primary(as_images(batch.images, self.image_shape))).poses
        lengths = length(poses)
        margin = jnp.mean(losses.margin_loss(lengths, multi_hot(batch.labels, lengths)))
        loss = self.margin_weight * margin
        metrics = {
            "accuracy": accuracy(lengths, batch.labels),
            "margin_loss": margin,
            "class_length": jnp.mean(lengths),
        }
        if self.decoder is not None:
            error = jnp.mean(self._reconstruction_error(poses, batch))
            loss = loss + self.reconstruction_weight * error
            metrics["reconstruction_error"] = error
        return loss, metrics

    def _reconstruction_error(self, poses, batch):
        """Summed squared error of each image, or the sum over its objects, decoded one by one."""
        labels = jnp.asarray(batch.labels)
        if labels.ndim == 1:
            decoded = [(labels, batch.images)]
        elif (objects := getattr(batch, "objects", None)) is None:
            raise ValueError(
                f"labels of shape {labels.shape}: objects are reconstructed one by one, so that "
                "the batch needs .objects, or the network reconstruction_weight=0"
            )
        else:
            decoded = [(labels[:, k], objects[:, k]) for k in range(labels.shape[1])]
        return sum(
            losses.reconstruction_loss(self._decode(poses, label), as_float(target))
            for label, target in decoded
        )

    def diagnose(self, metrics: dict[str, float]) -> str | None:
        """Names the plateau that training sits on, if it does.

        Args:
            metrics: Of `loss`, averaged over enough steps that the start of training is past.

        Returns:
            One line for the user, or None.
        """
        margin, mean_length = metrics["margin_loss"], metrics["class_length"]
        for name, extreme in (("dead", _DEAD_LENGTH), ("saturated", _SATURATED_LENGTH)):
            plateau = _plateau(extreme, self.num_classes)
            if abs(mean_length - extreme) < 0.02 and abs(margin / plateau - 1.0) < 0.02:
                return (
                    f"the margin loss sits at {margin:.3f}: all class capsules are {name} "
                    f"(mean length {mean_length:.3f}). Try another seed, a lower learning rate or "
                    "the other initializers"
                )
        return None


def _plateau(all_lengths: float, num_classes: int) -> float:
    """The margin loss of an image whose class capsules all have one length."""
    one_hot = jax.nn.one_hot(jnp.zeros(1, jnp.int32), num_classes)
    return float(losses.margin_loss(jnp.full((1, num_classes), all_lengths), one_hot)[0])
