"""The client: what a server of singular-lens tells, as Python objects and tables.

Needs httpx alone, and knows nothing of the rest of the package but how to serve a data folder in this process. The same
files are the distribution `singular-lens-client`, so they import each other relatively.
"""

from .errors import LensError
from .lens import Lens
from .page import Page
from .wait import Wait

__all__ = ["Lens", "LensError", "Page", "Wait"]
