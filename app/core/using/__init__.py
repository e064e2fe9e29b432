"""What directions do on text: how much of each is read and written, and what that adds to a logit."""
