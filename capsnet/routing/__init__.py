"""Routing between capsule layers: how votes of input capsules become poses of output capsules."""

from capsnet.routing.base import Capsules, Routed, Routing, Sizes
from capsnet.routing.dynamic import DynamicRouting, dynamic_routing
from capsnet.routing.expectation_maximisation import ExpectationMaximisationRouting
from capsnet.routing.inverted_attention import InvertedAttentionRouting
from capsnet.routing.self_attention import SelfAttentionRouting, self_attention_routing
from capsnet.routing.self_routing import SelfRouting
from capsnet.routing.uniform import UniformRouting
from capsnet.routing.variational_bayes import VariationalBayesRouting

__all__ = [
    "Capsules",
    "DynamicRouting",
    "ExpectationMaximisationRouting",
    "InvertedAttentionRouting",
    "Routed",
    "Routing",
    "SelfAttentionRouting",
    "SelfRouting",
    "Sizes",
    "UniformRouting",
    "VariationalBayesRouting",
    "dynamic_routing",
    "self_attention_routing",
]
