"""The routes where the model runs: prompts, changes, experiments, streams of the reference text."""
