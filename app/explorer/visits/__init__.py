"""What visitors ask for: an address and options in, one frozen page value out."""
