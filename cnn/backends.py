"""A choice among lowerings that is made where a program is lowered, not where it is traced.

Only lowering knows the backend: a program may be exported on one machine for another, or its arrays
may lie on a device other than the default one.
"""

import functools
from collections.abc import Callable
from typing import Any

from jax import lax


def by_backend(choose: Callable[[str], str], compute: Callable[..., Any], *operands: Any) -> Any:
    """Computes by the lowering that is chosen for the backend of the program.

    Every lowering that some backend takes is traced. A program for one platform keeps one of them,
    a program for several platforms what each of these takes. Where all backends take the same, it
    is traced as if there were no choice.

    A backward pass reads what any of the lowerings saves for it, zeros in place of what those not
    taken save. The compiler drops these where forward and backward pass are one program; elsewhere
    they take memory, so a lowering should save little that is quickly computed again.

    Args:
        choose: From "cpu", "tpu" or "gpu", which stands for every other backend too, to the name
            of a lowering.
        compute: Called with the operands and `lowering`, a name.
        operands: Arrays, or trees of them.

    Returns:
        What `compute` returns.
    """
    others = choose("gpu")
    names = {backend: choose(backend) for backend in ("cpu", "tpu")}
    if {others} == set(names.values()):
        return compute(*operands, lowering=others)
    # One function for each name, for backends that share a function share its trace.
    ways = {name: functools.partial(compute, lowering=name) for name in {others, *names.values()}}
    different = {backend: ways[name] for backend, name in names.items() if name != others}
    return lax.platform_dependent(*operands, default=ways[others], **different)
