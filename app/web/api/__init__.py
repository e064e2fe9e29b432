"""The JSON API: the forms of its answers, their twins of pages, its description, and CSV and NumPy files."""
