"""Capsule networks, one publication a file."""
