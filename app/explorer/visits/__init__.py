"""The visits: an address and options in, one frozen page value out."""
