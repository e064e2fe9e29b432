"""How far a computation is that is waited for. Knows nothing of who waits."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wait:
    """What a server says of a page that is not there yet."""

    detail: str
    """A sentence: what is being computed."""
    done: int
    """How much of it is done."""
    total: int
    """The total that `done` counts up to; 0 where nothing is counted."""
    seconds: float
    """Seconds until it is asked again."""

    def __str__(self) -> str:
        """Write it as one line, for `tell=print`.

        Example: "L1H2 OV of demo is being computed. 3 of 8"
        """
        return f"{self.detail} {self.done} of {self.total}" if self.total else self.detail
