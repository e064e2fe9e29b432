"""Artifacts as pages and searches read them, in numpy."""
