"""Where the server's work is done: processes of its own beside those that make artifacts, imports and jobs."""
