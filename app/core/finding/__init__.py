"""Finding what is near, which matrices read what, and what would be found by chance alone."""
