"""Suites of distorted images, over the strength of the distortion."""
