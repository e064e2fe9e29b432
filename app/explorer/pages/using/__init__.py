"""What directions do on text, as pages say it: on the reference text, and on a visitor's prompt."""
