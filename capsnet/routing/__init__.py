"""Routing between capsule layers: how votes of input capsules become poses of output capsules."""

from capsnet.routing.base import Routing
from capsnet.routing.dynamic import dynamic_routing

__all__ = ["Routing", "dynamic_routing"]
