"""Families of spatial transforms, from rigid to bending."""

from stn.transforms.affine import (
    Affine,
    Attention,
    BoundedAffine,
    ComposableTransform,
    ExponentialAffine,
    FixedScaleAttention,
    Similarity,
    Transform,
    Translation,
)
from stn.transforms.deformations import DisplacementField, ThinPlateSpline
from stn.transforms.projective import Projective

__all__ = [
    "Affine",
    "Attention",
    "BoundedAffine",
    "ComposableTransform",
    "DisplacementField",
    "ExponentialAffine",
    "FixedScaleAttention",
    "Projective",
    "Similarity",
    "ThinPlateSpline",
    "Transform",
    "Translation",
]
