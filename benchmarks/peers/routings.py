"""The calls of PyTorch's routings that are timed, from capsules and matrices on."""

from collections.abc import Callable

import torch  # pyright: ignore[reportMissingImports]

from benchmarks.peers.capsnet import make_votes

Route = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, ...]]
"""Votes `[b, j, i, d]` and activations `[b, i]` to poses `[b, j, d]`, and activations `[b, j]`."""


def forward(
    route: Route, poses: torch.Tensor, activations: torch.Tensor, kernel: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    """Votes and routes without derivatives.

    Args:
        route: A peer.
        poses: Of the input capsules, `[b, i, in_dim]`.
        activations: Of the input capsules, `[b, i]`.
        kernel: `[i, in_dim, j, d]`.
    """
    with torch.inference_mode():
        return _forward(route, poses, activations, kernel)


def with_gradients(
    route: torch.nn.Module, poses: torch.Tensor, activations: torch.Tensor, kernel: torch.Tensor
) -> tuple[tuple[torch.Tensor, ...], list[torch.Tensor]]:
    """Votes and routes, and differentiates half the squared length of what results.

    Args:
        route: A peer, whose parameters have the names of ours.
        poses: As of `forward`.
        activations: As of `forward`.
        kernel: As of `forward`.

    Returns:
        The outputs, and the gradients of the weights by their names, and of the other arguments.
    """
    inputs = [part.detach().requires_grad_() for part in (poses, activations, kernel)]
    outputs = _forward(route, *inputs)
    weights = [weight for _, weight in sorted(route.named_parameters())]
    gradients = torch.autograd.grad(
        outputs,
        [*weights, *inputs],
        [output.detach() for output in outputs],
        allow_unused=True,
        materialize_grads=True,
    )
    return tuple(output.detach() for output in outputs), list(gradients)


def _forward(route, poses, activations, kernel):
    return route(make_votes(poses, kernel.flatten(2), kernel.shape[2]), activations)
