"""Equivariant networks: group convolutions, polar maps, canonicalisers, penalties."""

from equivariant.canonicaliser import PrincipalAxis, principal_axis, turn
from equivariant.group_convolution import GroupConvolution, LiftingConvolution
from equivariant.groups import C8, C16, P4, P4M, TRIVIAL, Group
from equivariant.learnt_canonicaliser import LearntOrientation
from equivariant.maps import pool_elements, pool_places
from equivariant.networks.canonicalised import CanonicalisedConfig, CanonicalisedNetwork
from equivariant.networks.cohen_welling import GroupNetwork, GroupNetworkConfig, p4cnn, z2cnn
from equivariant.networks.penalised import PenalisedConfig, PenalisedNetwork
from equivariant.networks.polar import PolarNetwork, PolarNetworkConfig
from equivariant.penalties import ConsistencyPenalty, DifferencePenalty, Moves, TangentPenalty
from equivariant.polar import centroid, log_polar, log_polar_grid

__all__ = [
    "C8",
    "C16",
    "P4",
    "P4M",
    "TRIVIAL",
    "CanonicalisedConfig",
    "CanonicalisedNetwork",
    "ConsistencyPenalty",
    "DifferencePenalty",
    "Group",
    "GroupConvolution",
    "GroupNetwork",
    "GroupNetworkConfig",
    "LearntOrientation",
    "LiftingConvolution",
    "Moves",
    "PenalisedConfig",
    "PenalisedNetwork",
    "PolarNetwork",
    "PolarNetworkConfig",
    "PrincipalAxis",
    "TangentPenalty",
    "centroid",
    "log_polar",
    "log_polar_grid",
    "p4cnn",
    "pool_elements",
    "pool_places",
    "principal_axis",
    "turn",
    "z2cnn",
]
