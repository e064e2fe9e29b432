"""What becomes of what a model says where something in it is changed: edits of heads, and how tokens are chosen."""
