"""The HTTP side of every request: targets, negotiation, errors, redirects, kept answers, streams and threads."""
