"""Suites of adversarial images."""
