"""The devices that a run trains on."""

import os

import jax
from jax.sharding import AxisType, Mesh

from common.errors import UserError, first_line
from training.step import DATA_AXIS


def make_mesh() -> Mesh:
    """One axis over all devices of all hosts.

    Raises:
        UserError: if the platform that JAX was told to use has no device.
    """
    try:
        count = jax.device_count()
    # JAX asserts that a named platform is there, and under python -O asks None for its devices.
    except (RuntimeError, AssertionError, AttributeError) as error:
        reason = first_line(error) if str(error) else "JAX finds none"
        raise UserError(
            f"no device to run on ({reason}); check JAX_PLATFORMS="
            f"{os.environ.get('JAX_PLATFORMS', '')!r} and the installed jax (GPUs: pip install "
            "-e '.[train,cuda]')"
        ) from error
    return jax.make_mesh((count,), (DATA_AXIS,), axis_types=(AxisType.Auto,))
