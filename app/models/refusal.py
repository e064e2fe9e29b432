"""The one error of an import: a sentence that says why this model is not taken, and what would help."""


class ImportRefused(Exception):
    """The model cannot be imported; the message is for the operator."""
