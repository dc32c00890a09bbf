"""Images as they are moved, bent and filtered before a model sees them."""
