"""Who is next, and who may enter: whatever is entered, taken and left, in whichever order."""

from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.explorer.errors import Busy
from app.explorer.running.line import COSTS, PATIENCE, SERVER_CLIENT, Cost, Line, Ticket

CLIENTS = (SERVER_CLIENT, "a", "b", "c")


@dataclass
class Scene:
    """A line beside a plain list of what should be in it, and all that was ever taken from it."""

    line: Line[Ticket]
    size: int
    each: int
    waiting: list[Ticket] = field(default_factory=list)
    begun: list[Ticket] = field(default_factory=list)
    turns: list[tuple[Ticket, list[Ticket]]] = field(default_factory=list)
    """What was taken, and what could have been in its stead: first of its visitor and cost, its visitor not at work."""

    def enter(self, ticket: Ticket) -> bool:
        """Whether it was let in; and it is, wherever there is a place."""
        own = sum(one.client == ticket.client for one in self.waiting + self.begun)
        allowed = len(self.waiting) < self.size and (ticket.client == SERVER_CLIENT or own < self.each)
        try:
            self.line.enter(ticket)
        except Busy:
            assert not allowed
            return False
        assert allowed
        self.waiting.append(ticket)
        return True

    def take(self, than: Ticket | None = None) -> Ticket | None:
        """Whose turn it is; what may be is said by the plain list."""
        patient = than is not None and than.passed >= PATIENCE
        at_work = {one.client for one in self.begun if one is not than} - {SERVER_CLIENT}
        costs = COSTS if than is None else COSTS[: COSTS.index(than.cost)]
        firsts = {(one.client, one.cost): one for one in reversed(self.waiting)}.values()
        possible = [one for one in firsts if one.client not in at_work and one.cost in costs]
        waited = {id(one): one.passed for one in possible}
        taken = self.line.take(than)
        if patient or not possible:
            assert taken is None
            return None
        assert taken in possible
        cheapest = min((one.cost for one in possible), key=COSTS.index)
        assert taken.cost == cheapest or waited[id(taken)] >= PATIENCE
        self.turns.append((taken, possible))
        self.waiting.remove(taken)
        self.begun.append(taken)
        return taken

    def leave(self, ticket: Ticket) -> None:
        """Out of the line, and out of the list."""
        self.line.leave(ticket)
        (self.begun if ticket in self.begun else self.waiting).remove(ticket)


tickets = st.tuples(st.just("enter"), st.sampled_from(CLIENTS), st.sampled_from(COSTS))
actions = st.lists(
    st.one_of(
        tickets,
        tickets,
        st.tuples(st.just("take")),
        st.tuples(st.just("overtake"), st.integers(0, 9)),
        st.tuples(st.just("leave"), st.integers(0, 9)),
        st.tuples(st.just("give up"), st.integers(0, 9)),
    ),
    max_size=80,
)


def played(script: list[tuple[object, ...]], size: int, each: int) -> Scene:
    """The scene after all of that was done, as far as it could be."""
    scene = Scene(Line(size, each), size, each)
    for number, (action, *words) in enumerate(script):
        if action == "enter":
            client, cost = words
            assert client in CLIENTS
            assert cost in COSTS
            scene.enter(Ticket(number, client, cost))
        elif action == "take":
            scene.take()
        else:
            among = scene.waiting if action == "give up" else scene.begun
            (at,) = words
            assert isinstance(at, int)
            if at < len(among):
                scene.take(among[at]) if action == "overtake" else scene.leave(among[at])
        assert scene.line.depth() == len(scene.waiting) == size - scene.line.places()
        assert scene.line.list_begun() == tuple(scene.begun)
    return scene


@given(actions, st.integers(1, 12), st.integers(1, 4))
def test_nothing_is_lost_or_doubled(script: list[tuple[object, ...]], size: int, each: int) -> None:
    scene = played(script, size, each)
    for ticket in scene.line.list_begun():
        scene.leave(ticket)
    left = list(scene.waiting)
    drained = []
    while taken := scene.take():
        drained.append(taken)
        scene.leave(taken)
    assert Counter(map(id, drained)) == Counter(map(id, left))
    assert scene.line.depth() == 0
    assert scene.line.list_begun() == ()


@given(actions)
def test_one_visitor_is_served_after_the_other(script: list[tuple[object, ...]]) -> None:
    """While one could have been taken, nobody else is taken twice at the same cost."""
    turns = played(script, 40, 20).turns
    for at, (_, possible) in enumerate(turns):
        for one in possible:
            others: Counter[str] = Counter()
            for taken, then in turns[at:]:
                if taken is one:
                    break
                if one in then and taken.cost == one.cost:
                    others[taken.client] += 1
            assert all(count <= 1 for count in others.values())


def entered(line: Line[Ticket], client: str, cost: Cost, n: int = 1) -> list[Ticket]:
    """So many of one visitor."""
    made = [Ticket((client, cost, at), client, cost) for at in range(n)]
    for ticket in made:
        line.enter(ticket)
    return made


def test_who_asks_for_little_does_not_wait_for_who_asks_for_much() -> None:
    line: Line[Ticket] = Line(size=64)
    many = entered(line, "a", "dear", 4)
    (one,) = entered(line, "b", "dear")
    first = line.take()
    assert first is many[0]
    line.leave(first)
    assert line.take() is one


def test_a_visitor_has_one_at_work() -> None:
    line: Line[Ticket] = Line(size=64)
    first, second = entered(line, "a", "dear", 2)
    assert line.take() is first
    assert line.take() is None
    line.leave(first)
    assert line.take() is second


def test_what_rests_is_not_at_work() -> None:
    line: Line[Ticket] = Line(size=64)
    first, second = entered(line, "a", "dear", 2)
    assert line.take() is first
    first.rests = True
    assert line.take() is second


def test_a_cheap_one_goes_before_what_is_begun_even_of_the_same_visitor() -> None:
    line: Line[Ticket] = Line(size=64)
    (dear,) = entered(line, "a", "dear")
    assert line.take() is dear
    entered(line, "b", "dear")
    entered(line, "b", "batch")
    assert line.take(dear) is None
    (cheap,) = entered(line, "a", "cheap")
    assert line.take(dear) is cheap


def test_the_operators_own_are_bounded_by_the_line_alone() -> None:
    line: Line[Ticket] = Line(size=6, each=2)
    entered(line, SERVER_CLIENT, "batch", 5)
    entered(line, "a", "cheap")
    with pytest.raises(Busy, match="full"):
        entered(line, SERVER_CLIENT, "batch")
    assert line.take() is not None
    assert line.take() is not None
    assert line.take() is not None


def test_a_visitor_with_enough_in_line_is_told_how_many() -> None:
    line: Line[Ticket] = Line(size=64, each=2)
    entered(line, "a", "dear", 2)
    begun = line.take()
    assert begun is not None
    with pytest.raises(Busy, match="2 computations that you asked for"):
        entered(line, "a", "cheap")
    line.leave(begun)
    entered(line, "a", "cheap")


@pytest.mark.parametrize("is_begun", [True, False])
def test_a_stream_of_cheap_ones_holds_up_nothing_for_ever(is_begun: bool) -> None:
    line: Line[Ticket] = Line(size=64)
    (batch,) = entered(line, "slow", "batch")
    than = line.take() if is_begun else None
    for at in range(PATIENCE):
        entered(line, str(at), "cheap")
        taken = line.take(than)
        assert taken is not None
        assert taken.cost == "cheap"
        line.leave(taken)
    entered(line, "late", "cheap")
    assert line.take(than) is (None if is_begun else batch)
    assert line.take(batch) is not None
