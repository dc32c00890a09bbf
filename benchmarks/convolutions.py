"""Times the lowerings of a convolution on the layers of the project's networks.

    python -m benchmarks.convolutions --json convolutions.json

Forward and both gradients, as in training, and forward alone. Says which lowering "auto" takes
(see `cnn.convolution.lowerings`) and how much longer that takes in training than the fastest of
all.
"""

import functools
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.reporting import make_parser, write_figures
from benchmarks.timing import Contender, Times, measure
from cnn import convolve
from cnn.convolution import layer_of, lowerings
from common.tables import markdown_table
from training import process

BATCH = 32
# Name: image [height, width, channels], kernel [height, width, in, out], stride, padding.
LAYERS = {
    "capsnet, first": ((28, 28, 1), (9, 9, 1, 256), 1, "VALID"),
    "capsnet, primary capsules": ((20, 20, 256), (9, 9, 256, 256), 2, "VALID"),
    "capsnet at 40x40, primary capsules": ((32, 32, 256), (9, 9, 256, 256), 2, "VALID"),
    "cnn_mnist, second": ((14, 14, 32), (5, 5, 32, 64), 1, "SAME"),
    "cnn_mnist_paper, second": ((28, 28, 256), (5, 5, 256, 256), 1, "SAME"),
    "cnn_mnist_matched, second": ((14, 14, 256), (5, 5, 256, 256), 1, "SAME"),
    "cnn_mnist_matched, third": ((7, 7, 256), (5, 5, 256, 128), 1, "SAME"),
    "cnn_mnist_9x9, second": ((14, 14, 96), (9, 9, 96, 192), 1, "SAME"),
    "cnn_mnist_9x9, third": ((7, 7, 192), (9, 9, 192, 192), 1, "SAME"),
    "stn_mnist_tc cnn, first": ((60, 60, 1), (9, 9, 1, 64), 1, "VALID"),
    "stn_mnist_tc cnn, second": ((26, 26, 64), (7, 7, 64, 64), 1, "VALID"),
    "stn_mnist_tc st_cnn, second": ((11, 11, 64), (7, 7, 64, 64), 1, "VALID"),
    "stn localisation, second": ((13, 13, 20), (5, 5, 20, 20), 1, "VALID"),
    "stn_svhn, 3x3": ((16, 16, 128), (3, 3, 128, 160), 1, "SAME"),
    "residual, first stage": ((28, 28, 20), (3, 3, 20, 20), 1, "SAME"),
    "residual, to the second stage": ((28, 28, 20), (3, 3, 20, 40), 2, "SAME"),
    "residual, third stage": ((7, 7, 80), (3, 3, 80, 80), 1, "SAME"),
    "p4cnn, second": ((26, 26, 40), (3, 3, 40, 40), 1, "VALID"),
    "efficient_capsnet, fourth": ((20, 20, 64), (3, 3, 64, 128), 2, "VALID"),
}


def make_contenders(
    image_shape, kernel_shape, stride: int, padding: str, *, training: bool
) -> tuple[dict[str, Contender], str]:
    """A call for each lowering, and the name of the one that "auto" takes."""
    random = np.random.default_rng(0)
    images = jnp.asarray(random.normal(size=(BATCH, *image_shape)), jnp.float32)
    kernel = jnp.asarray(random.normal(size=kernel_shape) / 100.0, jnp.float32)
    layer = layer_of(images, kernel, (stride, stride), padding)
    # Nothing here is placed on a device other than the default one.
    chosen = lowerings.choose(layer, jax.default_backend())

    def contender(lowering: str) -> Contender:
        run = functools.partial(
            convolve, strides=(stride, stride), padding=padding, lowering=lowering
        )

        def with_gradients(images, kernel):
            outputs, transpose = jax.vjp(run, images, kernel)
            return outputs, transpose(outputs)

        compiled = jax.jit(with_gradients if training else run)
        return lambda: jax.block_until_ready(compiled(images, kernel))

    return {name: contender(name) for name in lowerings.NAMES}, chosen


def as_row(name: str, chosen: str, training: Times, forward: Times) -> dict[str, str]:
    """One line of the table: medians in milliseconds."""
    fastest = min(times["median_ms"] for times in training.values())
    return {
        "layer": name,
        **{f"{key}, training": f"{times['median_ms']:.1f}" for key, times in training.items()},
        **{f"{key}, forward": f"{times['median_ms']:.1f}" for key, times in forward.items()},
        "auto": chosen,
        "auto / fastest": f"{training[chosen]['median_ms'] / fastest:.2f}",
    }


def main(arguments: list[str] | None = None) -> None:
    """Prints the table and writes the JSON."""
    flags = make_parser(__doc__, rounds=5).parse_args(arguments)
    process.keep_freed_memory()
    rows, results = [], []
    started = time.perf_counter()
    for name, layer in LAYERS.items():
        contenders, chosen = make_contenders(*layer, training=True)
        training = measure(contenders, flags.rounds)
        forward = measure(make_contenders(*layer, training=False)[0], flags.rounds)
        rows.append(as_row(name, chosen, training, forward))
        results.append({"layer": name, "auto": chosen, "training": training, "forward": forward})
        print(f"{name}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
    print(f"Batch {BATCH}, float32; medians in ms.\n")
    print(markdown_table(rows))
    write_figures(flags.json, "convolutions", arguments, results=results)


if __name__ == "__main__":
    main()
