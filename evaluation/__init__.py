"""Evaluations of trained models: suites, statistics, records and reports.

A suite sees a model only as a `predict` function from uint8 images to logits.
"""
