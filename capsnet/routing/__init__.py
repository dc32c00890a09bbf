"""Routing between capsule layers: how votes of input capsules become poses of output capsules."""

from capsnet.routing.base import Capsules, Routed, Routing, Sizes
from capsnet.routing.dynamic import DynamicRouting, dynamic_routing
from capsnet.routing.uniform import UniformRouting

__all__ = [
    "Capsules",
    "DynamicRouting",
    "Routed",
    "Routing",
    "Sizes",
    "UniformRouting",
    "dynamic_routing",
]
