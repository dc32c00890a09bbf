"""Datasets: where images come from, and how batches of them are drawn on the device."""
