"""Faces and their scrambles, rendered and photographed."""
