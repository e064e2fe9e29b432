"""A census as a page reads it: counts, estimates, and what they allow to be said."""
