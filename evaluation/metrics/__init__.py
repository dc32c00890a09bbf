"""Metrics of predictions, features and images, as functions of arrays."""
