"""What a GPU or a TPU does to this project: whether it computes the same, and how fast."""
