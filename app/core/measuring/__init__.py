"""Numbers about matrices and decompositions: how strong, how much explained, how certain, how alike."""
