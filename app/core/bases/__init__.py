"""Ways to write a matrix as a sum of rank-one terms, one file each, all of one form; listed in `app.core.basis`."""
