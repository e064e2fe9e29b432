"""A model that runs: put together again from its imported weights, by the library that made it."""
