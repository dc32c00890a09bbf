"""Suites of what spatial transformers recover."""
