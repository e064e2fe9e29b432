"""Makers of what is computed of a model that runs: on prompts, and on a reference text."""
