"""Recipes in, arrays out: what is computed from a model's tensors. Knows no page."""
