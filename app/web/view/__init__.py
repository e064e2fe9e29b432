"""What pages are made of: templates, numbers, tokens, charts and words as people see them."""
