"""Convolutional networks, one kind a file."""
