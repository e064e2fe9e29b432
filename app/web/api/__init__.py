"""What the API says of itself, and the files that it gives."""
