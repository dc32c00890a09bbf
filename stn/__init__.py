"""Spatial transformers: transforms, grids, samplers, and the layer made of them."""

from stn import transforms
from stn.grids import affine_grid, identity_grid
from stn.localisation import ConvolutionalLocalisation, DenseLocalisation
from stn.sampling import sample
from stn.transformer import SpatialTransformer, Transformed

__all__ = [
    "ConvolutionalLocalisation",
    "DenseLocalisation",
    "SpatialTransformer",
    "Transformed",
    "affine_grid",
    "identity_grid",
    "sample",
    "transforms",
]
