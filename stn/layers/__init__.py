"""Spatial transformers as layers, and the localisation networks that steer them."""
