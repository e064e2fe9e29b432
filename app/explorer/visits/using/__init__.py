"""The visits where the model runs: prompts, what is changed on them, and what it does on its reference text."""
