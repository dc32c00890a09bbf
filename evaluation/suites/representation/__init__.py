"""Suites that look at what layers, features and scores hold."""
