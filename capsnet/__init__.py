"""Capsule networks: squash, routing, capsule layers, losses and models."""

from capsnet import losses, routing
from capsnet.layers import (
    ConvolutionalCapsules,
    DenseCapsules,
    DepthwiseCapsules,
    PrimaryCapsules,
)
from capsnet.networks.attention import AttentionCapsNet, AttentionCapsNetConfig
from capsnet.networks.efficient import EfficientCapsNet, EfficientCapsNetConfig
from capsnet.networks.heads import AverageHead, CapsuleHead, DenseHead, VectorHead
from capsnet.networks.matrix import MatrixCapsNet, MatrixCapsNetConfig
from capsnet.networks.sabour import CapsNet, CapsNetConfig, paper, sabour_code
from capsnet.networks.self_routing import SelfRoutingCapsNet, SelfRoutingCapsNetConfig
from capsnet.networks.trunk_and_head import TrunkAndHead, TrunkAndHeadConfig, affine_capsnet
from capsnet.networks.trunks import NormalisedTrunk, SabourTrunk
from capsnet.networks.variational import VariationalCapsNet, VariationalCapsNetConfig
from capsnet.routing import (
    DynamicRouting,
    ExpectationMaximisationRouting,
    InvertedAttentionRouting,
    SelfAttentionRouting,
    SelfRouting,
    UniformRouting,
    VariationalBayesRouting,
)
from capsnet.vectors import exponential_squash, length, squash

__all__ = [
    "AttentionCapsNet",
    "AttentionCapsNetConfig",
    "AverageHead",
    "CapsNet",
    "CapsNetConfig",
    "CapsuleHead",
    "ConvolutionalCapsules",
    "DenseCapsules",
    "DenseHead",
    "DepthwiseCapsules",
    "DynamicRouting",
    "EfficientCapsNet",
    "EfficientCapsNetConfig",
    "ExpectationMaximisationRouting",
    "InvertedAttentionRouting",
    "MatrixCapsNet",
    "MatrixCapsNetConfig",
    "NormalisedTrunk",
    "PrimaryCapsules",
    "SabourTrunk",
    "SelfAttentionRouting",
    "SelfRouting",
    "SelfRoutingCapsNet",
    "SelfRoutingCapsNetConfig",
    "TrunkAndHead",
    "TrunkAndHeadConfig",
    "UniformRouting",
    "VariationalBayesRouting",
    "VariationalCapsNet",
    "VariationalCapsNetConfig",
    "VectorHead",
    "affine_capsnet",
    "exponential_squash",
    "length",
    "losses",
    "paper",
    "routing",
    "sabour_code",
    "squash",
]
