"""Spatial transformers: transforms, grids, and the samplers that read images through them."""

from stn import transforms
from stn.grids import affine_grid, identity_grid
from stn.sampling import sample

__all__ = ["affine_grid", "identity_grid", "sample", "transforms"]
