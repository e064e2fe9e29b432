"""What is turned away before any route sees it, and who asks."""
