"""Forms of query strings, one a kind of page: typed, with bounds and sentences out of the table of options."""
