"""Times `affine_grid` and `sample` by every lowering, and PyTorch's pair where it is installed.

    python -m benchmarks.sampling --json sampling.json

Batches of one-channel images are resampled at their own size: the values alone, and the values
with the gradient of theta, as a spatial transformer on the input needs them.
"""

import functools
import importlib

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.reporting import describe_torch, has_torch, make_parser, write_figures
from benchmarks.timing import Contender, measure
from common.tables import markdown_table
from stn import affine_grid, sample
from stn.sampling import LOWERINGS

SIDES = (28, 42, 60)
BATCH = 256
DIRECTIONS = ("forward", "forward + gradient of theta")
PEER = "PyTorch"


def make_inputs(side: int, batch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images, affine maps around the identity, and the cotangents of the output.

    Returns:
        `[batch, side, side, 1]`, `[batch, 2, 3]` and `[batch, side, side, 1]`, all float32.
    """
    random = np.random.default_rng(0)
    images = random.random((batch, side, side, 1), np.float32)
    theta = np.eye(2, 3) + 0.2 * random.normal(size=(batch, 2, 3))
    cotangents = random.random(images.shape, np.float32)
    return images, theta.astype(np.float32), cotangents


def our_contender(lowering: str, direction: str, side: int, batch: int) -> Contender:
    """A compiled call of this project's sampler, to be timed."""
    images, theta, cotangents = map(jnp.asarray, make_inputs(side, batch))

    def forward(theta, images):
        return sample(images, affine_grid(theta, (side, side)), lowering=lowering)

    def with_gradient(theta, images, cotangents):
        values, transpose = jax.vjp(functools.partial(forward, images=images), theta)
        return values, transpose(cotangents)[0]

    if direction == DIRECTIONS[0]:
        compiled = jax.jit(forward)
        return lambda: jax.block_until_ready(compiled(theta, images))
    compiled = jax.jit(with_gradient)
    return lambda: jax.block_until_ready(compiled(theta, images, cotangents))


def their_contender(direction: str, side: int, batch: int) -> Contender:
    """The same by PyTorch, with as many threads as it takes by default."""
    torch = importlib.import_module("torch")  # optional, for the type checker too
    functional = torch.nn.functional
    images, theta, cotangents = map(torch.tensor, make_inputs(side, batch))
    images, cotangents = (x.reshape(batch, 1, side, side) for x in (images, cotangents))

    def forward(theta):
        grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
        return functional.grid_sample(images, grid, align_corners=False)

    def with_gradient():
        leaf = theta.detach().requires_grad_()
        values = forward(leaf)
        values.backward(cotangents)
        return values.detach(), leaf.grad

    return (lambda: forward(theta)) if direction == DIRECTIONS[0] else with_gradient


def make_contenders(direction: str, side: int, batch: int) -> dict[str, Contender]:
    """All contenders by name; PyTorch only where it is installed."""
    contenders = {name: our_contender(name, direction, side, batch) for name in LOWERINGS}
    if has_torch():
        contenders[PEER] = their_contender(direction, side, batch)
    return contenders


def as_row(direction: str, side: int, times: dict[str, dict[str, float]]) -> dict[str, str]:
    """One line of the table: median (minimum) in milliseconds."""
    row = {"size": f"{side}x{side}", "direction": direction}
    for name, taken in times.items():
        row[f"{name}, ms"] = f"{taken['median_ms']:.2f} ({taken['minimum_ms']:.2f})"
    if PEER in times:
        for kind in ("median", "minimum"):
            key = f"{kind}_ms"
            row[f"auto / {PEER}, {kind}"] = f"{times['auto'][key] / times[PEER][key]:.2f}"
    return row


def main(arguments: list[str] | None = None) -> None:
    """Prints the table and writes the JSON."""
    flags = make_parser(__doc__, rounds=20).parse_args(arguments)
    results, rows = [], []
    for direction in DIRECTIONS:
        for side in SIDES:
            times = measure(make_contenders(direction, side, BATCH), flags.rounds)
            rows.append(as_row(direction, side, times))
            results.append({"size": side, "direction": direction, "batch": BATCH, "times": times})
    print(f"Batch {BATCH}, one channel, float32; median (minimum) of each.\n")
    print(markdown_table(rows))
    if not has_torch():
        print(f"\n{PEER} is not installed: pip install -e '.[oracles]' adds its column.")
    write_figures(flags.json, "sampling", arguments, **describe_torch(), results=results)


if __name__ == "__main__":
    main()
