"""Suites of the information in layers, features and scores."""
