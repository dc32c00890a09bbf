"""Suites of clean images: accuracy, calibration, mistakes, cost."""
