"""Adversarial images: by gradients, against a detector, and as patches."""
