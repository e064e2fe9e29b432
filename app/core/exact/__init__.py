"""Vectors read out as tokens in an exact order: the same on every machine, and proven."""
