"""The bank and the artifacts made of it, as searches and pages read them."""
