"""This project's networks written again in PyTorch, as fast as it runs them on CPUs, to time."""
