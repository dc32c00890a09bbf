"""Suites of the transforms of spatial transformers."""
