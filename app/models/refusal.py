"""Faults of a model, as sentences for people: before it is imported, and afterwards."""


class ImportRefused(Exception):
    """The model cannot be imported; the message says why, and what would help."""


class WeightsDamaged(Exception):
    """A file of imported weights was changed since it was written; the message names the file, and no path."""
