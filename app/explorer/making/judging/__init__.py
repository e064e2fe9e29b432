"""The makers of judgements beside random directions: controls, readable rays, whole models."""
