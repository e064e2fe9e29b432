"""The makers of artifacts: recipes in, arrays out, computed from a model's tensors. Knows no page."""
