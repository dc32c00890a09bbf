"""Distortions of images: affine maps, edges, curves over the strength, trajectories."""
