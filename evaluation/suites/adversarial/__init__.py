"""Suites of images that somebody chose to mislead the model."""
