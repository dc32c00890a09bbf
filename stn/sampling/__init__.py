"""Grids of coordinates, and reading images at them."""

from stn.sampling.sample import LOWERINGS, sample

__all__ = ["LOWERINGS", "sample"]
