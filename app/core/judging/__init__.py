"""Judging numbers of rays: beside random ones, over many rays, and in words."""
