"""The visitor's words, checked against the models: addresses, views, searches, tasks."""
