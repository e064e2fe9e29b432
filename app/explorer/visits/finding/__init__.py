"""Visits that begin with words, a token or a direction, and look for others."""
