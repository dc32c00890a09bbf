"""Networks with spatial transformers, one experiment of the papers a file."""
