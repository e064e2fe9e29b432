"""Answers that are sent again: kept by this server, or by caches that visitors share."""
