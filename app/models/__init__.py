"""Models: checkpoints in, weights out. The only room that knows transformer_lens and transformers."""
