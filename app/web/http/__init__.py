"""What HTTP asks of every answer: who is let in, what is taken, where a misspelt address leads."""
