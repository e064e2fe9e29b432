"""The routes that find directions: searches, tokens, what is around one, heads beside heads."""
