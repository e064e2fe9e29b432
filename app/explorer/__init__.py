"""The visitor's verbs: resources and an address in, frozen page data out. Knows no HTTP."""
