"""The type of what draws a layer's first weights."""

from collections.abc import Callable

import jax

Initializer = Callable[..., jax.Array]
"""(key, shape, dtype) to an array, as those of `jax.nn.initializers`."""
