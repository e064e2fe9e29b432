"""From a stranger's checkpoint to weights of our own: what is heeded of it, and proof that what was written is it."""
