"""The line of computations: the order in which they begin, and who may still enter.

Cheap tickets go before dear ones, those before batch work; among these, one visitor after the other. So a visitor who
asks for much waits behind one who asks for little. Nothing here runs, waits or knows the time: the user of a line holds
a lock over it.
"""

from collections import OrderedDict, deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar, get_args

from app.explorer.errors import Busy

Cost = Literal["cheap", "dear", "batch"]
"""`cheap`: one head's matrix or its own, with no control of its own to be made; `dear`: everything else that a visit may
cause; `batch`: what nobody waits for, or many parts of one thing."""
COSTS: tuple[Cost, ...] = get_args(Cost)
SERVER_CLIENT = ""
"""The client that stands for the server itself and its operator."""
MOST_PER_CLIENT = 4
"""The most computations of one visitor, in line or begun."""
PATIENCE = 16
"""The most cheaper tickets that may pass a waiting one: else a stream of those would hold it up for ever."""


def is_cheaper(one: "Ticket", other: "Ticket") -> bool:
    """Return whether the one goes before the other, whoever came first."""
    return COSTS.index(one.cost) < COSTS.index(other.cost)


@dataclass(eq=False)
class Ticket:
    """One computation that is to be begun, its client and its cost."""

    key: Hashable
    client: str
    cost: Cost
    passed: int = field(default=0, init=False)
    """How many cheaper tickets passed this one since it was first of its cost, was begun, or made its last step."""
    rests: bool = field(default=False, init=False)
    """Begun, but paused until somebody asks for it again: its visitor may have another at work."""


T = TypeVar("T", bound=Ticket)


class Line(Generic[T]):
    """Tickets in line, at most `size`, and tickets that were taken and have not left."""

    def __init__(self, size: int, each: int = MOST_PER_CLIENT) -> None:
        self._size = size
        self._each = each
        self._waiting: dict[Cost, OrderedDict[str, deque[T]]] = {cost: OrderedDict() for cost in COSTS}
        """The tickets of each visitor, in the order of their turns; visitors without a ticket are left out."""
        self._begun: list[T] = []

    def depth(self) -> int:
        """Count the tickets in line; those that were taken do not count."""
        return sum(1 for _ in self._tickets())

    def places(self) -> int:
        """Count the tickets that may still enter."""
        return max(0, self._size - self.depth())

    def list_begun(self) -> tuple[T, ...]:
        """Return the tickets that were taken and have not left, the first taken first."""
        return tuple(self._begun)

    def enter(self, ticket: T) -> None:
        """Put the ticket behind the visitor's others; Busy where there is no place, or none for this visitor."""
        if self.places() == 0:
            raise Busy("The queue of computations is full. Please try again in a few seconds.")
        if ticket.client != SERVER_CLIENT and self._count(ticket.client) >= self._each:
            raise Busy(
                f"{self._each} computations that you asked for are not done yet, as many as one visitor may have here. "
                "Please come back in a few seconds."
            )
        self._waiting[ticket.cost].setdefault(ticket.client, deque()).append(ticket)

    def take(self, than: T | None = None) -> T | None:
        """Take the ticket whose turn it is; None where it is nobody's.

        `than` is the ticket that would go on otherwise. Only cheaper ones go before it, at most PATIENCE until it has
        made a step. No visitor has two at work, unless one goes before a dearer one of the same visitor.
        """
        if than is not None and than.passed >= PATIENCE:
            than.passed = 0
            return None
        costs = COSTS if than is None else COSTS[: COSTS.index(than.cost)]
        at_work = {ticket.client for ticket in self._begun if ticket is not than and not ticket.rests} - {SERVER_CLIENT}
        firsts = [first for cost in costs if (first := self._find_first(cost, at_work))]
        if not firsts:
            return None
        patient = [first for first in firsts if first.passed >= PATIENCE]
        chosen = (patient or firsts)[0]
        for other in (*firsts, *([] if than is None else [than])):
            if COSTS.index(other.cost) > COSTS.index(chosen.cost):
                other.passed += 1
        self._remove(chosen)
        chosen.passed = 0
        self._begun.append(chosen)
        return chosen

    def leave(self, ticket: T) -> None:
        """Remove the ticket, whether it was begun or still in line."""
        if ticket in self._begun:
            self._begun.remove(ticket)
        else:
            self._remove(ticket)

    def _tickets(self) -> Iterator[T]:
        return (ticket for clients in self._waiting.values() for tickets in clients.values() for ticket in tickets)

    def _count(self, client: str) -> int:
        return sum(ticket.client == client for ticket in (*self._tickets(), *self._begun))

    def _find_first(self, cost: Cost, at_work: set[str]) -> T | None:
        clients = self._waiting[cost]
        return next((tickets[0] for client, tickets in clients.items() if client not in at_work), None)

    def _remove(self, ticket: T) -> None:
        """Remove the ticket from the line; the visitor's turn is over, and comes again after everybody else's."""
        clients = self._waiting[ticket.cost]
        tickets = clients[ticket.client]
        tickets.remove(ticket)
        clients.move_to_end(ticket.client)
        if not tickets:
            del clients[ticket.client]
