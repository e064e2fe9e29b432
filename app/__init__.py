"""singular-lens: an explorer of the singular directions of transformer weights."""
