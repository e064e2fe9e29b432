"""HTTP and HTML only: routes, templates, errors, security. Imports no torch."""
