"""Carrying out studies: what is left, the arms beside each other, trainings, evaluations."""
