"""Tasks whose images are rendered afresh for every batch."""
