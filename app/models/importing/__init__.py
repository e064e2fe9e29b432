"""Import of a stranger's checkpoint as weights of our own: bounds on what is read, proof of what is written."""
