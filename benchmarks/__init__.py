"""How fast, and against what: each file answers one question, side by side with what one would use instead."""
