"""Spatial transformers: transforms, grids, samplers, and the layer made of them."""

from stn import transforms
from stn.diagnostics import WarpStatistics, frame, pixel_coordinates, warp_statistics
from stn.layers.iterated import IteratedTransformed, IteratedTransformer
from stn.layers.localisation import ConvolutionalLocalisation, DenseLocalisation
from stn.layers.parallel import ParallelTransformed, ParallelTransformers, tiled_poses
from stn.layers.shared import SharedLayersTransformed, SharedLayersTransformer
from stn.layers.transformer import SpatialTransformer, Transformed
from stn.networks.birds import PartsConfig
from stn.networks.colocalisation import CoLocaliserConfig
from stn.networks.house_numbers import HouseNumberConfig
from stn.networks.mnist import TransformerNetworkConfig
from stn.networks.volumes import VolumeNetworkConfig
from stn.penalties import collapse_penalty, identity_penalty, outside_penalty
from stn.sampling import sample
from stn.sampling.antialiasing import sample_mipmapped, sample_supersampled
from stn.sampling.grids import affine_grid, identity_grid

__all__ = [
    "CoLocaliserConfig",
    "ConvolutionalLocalisation",
    "DenseLocalisation",
    "HouseNumberConfig",
    "IteratedTransformed",
    "IteratedTransformer",
    "ParallelTransformed",
    "ParallelTransformers",
    "PartsConfig",
    "SharedLayersTransformed",
    "SharedLayersTransformer",
    "SpatialTransformer",
    "Transformed",
    "TransformerNetworkConfig",
    "VolumeNetworkConfig",
    "WarpStatistics",
    "affine_grid",
    "collapse_penalty",
    "frame",
    "identity_grid",
    "identity_penalty",
    "outside_penalty",
    "pixel_coordinates",
    "sample",
    "sample_mipmapped",
    "sample_supersampled",
    "tiled_poses",
    "transforms",
    "warp_statistics",
]
