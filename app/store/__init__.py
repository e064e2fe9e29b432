"""What outlives the process: artifacts on disk. Knows no model and no request."""
