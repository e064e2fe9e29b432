"""The embedded demo model: its files, and the command that trained it."""

from pathlib import Path

FOLDER = Path(__file__).parent / "model"
"""A Hugging Face folder: config, weights, tokenizer and model card."""
