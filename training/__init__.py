"""The shared training loop: experiments, steps, checkpoints and reports, for any model."""
