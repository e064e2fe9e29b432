"""A Hugging Face folder as files: what it holds, each file read only within bounds."""
