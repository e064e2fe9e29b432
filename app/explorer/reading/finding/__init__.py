"""The bank and what is made of it, as searches and pages read them."""
