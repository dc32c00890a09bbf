"""Datasets: the sources of images, and the drawing of batches of them on the device."""
