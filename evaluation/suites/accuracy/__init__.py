"""Suites of clean images: accuracy, calibration, misclassifications, cost."""
