"""Visits that start from words, a token, a head or a direction, and look for others."""
