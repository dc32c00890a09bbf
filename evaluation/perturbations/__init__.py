"""Distortions of images: affine maps, blurs, edges, strokes, weather; curves and trajectories."""
