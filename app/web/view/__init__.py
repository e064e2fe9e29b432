"""The presentation of pages: templates, static files, numbers, token chips, charts and words."""
