"""The one error of the client. Knows no HTTP."""

from .text import spell


class LensError(Exception):
    """A server that said no, has not finished, cannot be reached, or is none of ours: one sentence says which."""

    def __init__(self, detail: str, status: int = 0, address: str = "") -> None:
        self.detail = spell(detail)
        """A sentence: the server's own, where it said one."""
        self.status = status
        """The HTTP status; 0 where there was no answer."""
        self.address = spell(address)
        """The address that was asked for."""
        where = " ".join(filter(None, (str(status or ""), self.address)))
        super().__init__(f"{self.detail} [{where}]" if where else self.detail)
