"""Suites of shifts by pixels, and of windows."""
