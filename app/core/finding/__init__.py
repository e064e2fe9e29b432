"""What is near, who reads what, and what chance alone would bring."""
