"""What runs: the line of computations, and who asked for them."""
