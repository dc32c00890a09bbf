"""Intervals, bootstraps and tests, and what values a quantity can have."""
