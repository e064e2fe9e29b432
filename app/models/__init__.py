"""The only room that knows transformer_lens and transformers: checkpoints in, weights out."""
