"""The pages' data: one frozen value for each kind of page, which HTML, fragment and JSON render. Knows no HTML, no
HTTP."""
