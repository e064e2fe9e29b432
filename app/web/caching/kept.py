"""A cache of whole answers: pages whose artifacts have not changed are sent again as they are. Pure ASGI.

Answers are looked up on the event loop, by all that decides them. The files that an answer depends on are noted while
it is made (`app.store.grounds`); one that depends on something which may change at any time is not kept. Knows no page.
"""

import asyncio
import time
from collections.abc import Collection, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from anyio import CapacityLimiter, to_thread
from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.config import Settings
from app.explorer.resources import Resources
from app.store.artifacts import ArtifactStore
from app.store.grounds import GROUNDS, Grounds
from app.web.caching.asked import PageTarget, PageTargets
from app.web.http.answers import part_of
from app.web.http.counts import Counts
from app.web.http.hosts import own_names
from app.web.http.negotiation import Coding, coding_for, has_tag

LARGEST_KEPT = 2**20
"""Bytes of the largest body that is kept, as it is sent."""
GROUND_BYTES = 400
"""Bytes of memory, nearly, for each file or folder that an answer depends on."""
MOST_ORIGINS = 4
"""Origins besides the server's own that answers are kept for."""
MOST_COUNTED = 256
REUSE_SECONDS = 60.0
"""Seconds for which the public gets an answer again though it may have changed: as long as a CDN may keep one."""
ORIGIN_SECONDS = 60.0
"""Seconds after which the counts of origins are halved."""
TOUCH_SECONDS = 60.0
"""Seconds between two notes that an artifact is in use, while answers made of it are sent again."""
MOST_TOUCHED = 4_096
"""Artifacts whose last such note is remembered."""
MOST_CODINGS = 64
"""Values of Accept-Encoding that are remembered: browsers send few."""
BODY_HEADERS = {b"content-length", b"content-type", b"content-encoding"}
"""Headers that an answer without a body does not have."""

Headers = list[tuple[bytes, bytes]]


class DecidingFields(NamedTuple):
    """The header fields of a request that decide its answer."""

    host: bytes
    codings: bytes
    known: bytes
    """The ETags of If-None-Match: versions that the visitor has."""
    is_of_htmx: bool


class AnswerKey(NamedTuple):
    """Everything that decides an answer, besides the files that it depends on."""

    target: PageTarget
    part: str
    """Name of the fragment; empty for the whole page."""
    origin: Hashable
    """Scheme and host that absolute links start with."""
    coding: Coding
    has_jobs: bool
    """True if pages link to the jobs, though visitors may start none."""


@dataclass(slots=True)
class KeptAnswer:
    """An answer as it was sent, without the headers that every answer carries."""

    headers: Headers
    body: bytes
    tag: bytes
    """Its ETag; empty where it has none."""
    grounds: Grounds
    made: float
    """When it was made, on the monotonic clock."""
    touched: float
    """When the artifacts that it depends on were last noted as used, on the monotonic clock."""

    @property
    def size(self) -> int:
        """Bytes of memory that it takes, nearly."""
        headers = sum(len(name) + len(value) for name, value in self.headers)
        return len(self.body) + headers + GROUND_BYTES * (len(self.grounds.artifacts) + len(self.grounds.folders))


class Origins:
    """The origins that answers are kept for: the server's own, and the few others that most visitors use.

    Made-up host names push out none of the others.
    """

    def __init__(self, own: Collection[str], most: int = MOST_ORIGINS, seconds: float = ORIGIN_SECONDS) -> None:
        self._own, self._most, self._seconds = own, most, seconds
        self._asked: dict[Hashable, int] = {}
        """Origin -> how often it was asked for lately."""
        self._kept: set[Hashable] = set()
        self._halved = time.monotonic()

    def admit(self, host: bytes, scheme: str, server: tuple[str, int]) -> bool:
        """Count a request to that origin; return whether answers are kept for it."""
        if self._is_own(host, server):
            return True
        self._halve_counts()
        origin = (scheme, host)
        self._asked[origin] = self._asked.get(origin, 0) + 1
        if origin not in self._kept and len(self._kept) >= self._most:
            least = min(self._kept, key=lambda other: self._asked.get(other, 0))
            if self._asked.get(least, 0) >= self._asked[origin]:
                return False
            self._kept.remove(least)
        self._kept.add(origin)
        return True

    def _is_own(self, host: bytes, server: tuple[str, int]) -> bool:
        """Return whether the host is a configured name or the connection's own address, with the server's port."""
        said = host.decode("latin-1")  # compared as it is spelt: links repeat it letter by letter
        name, _, port = said.rpartition(":") if said[-1:].isdecimal() and ":" in said else (said, "", "")
        bare = name[1:-1] if name.startswith("[") else name
        return not said or (bare in {*self._own, server[0]} and port in {"", str(server[1])})

    def _halve_counts(self) -> None:
        """Halve the counts once in a while, and drop the rarest origin where there are too many."""
        now = time.monotonic()
        if now - self._halved >= self._seconds:
            self._halved = now
            self._asked = {origin: count // 2 for origin, count in self._asked.items() if count > 1}
            self._kept &= self._asked.keys()
        if len(self._asked) >= MOST_COUNTED:
            del self._asked[min(self._asked, key=self._asked.__getitem__)]


class Touches:
    """Marks the artifacts of kept answers as used, each once in a while, in a thread of its own."""

    def __init__(self) -> None:
        self._touched: dict[Path, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._limiter = CapacityLimiter(1)

    def note(self, store: ArtifactStore, kept: KeptAnswer) -> None:
        """Mark the artifacts of an answer that is sent again, where that is due."""
        now = time.monotonic()
        if now - kept.touched < TOUCH_SECONDS:
            return
        kept.touched = now
        if len(self._touched) > MOST_TOUCHED:
            self._touched.clear()
        due = [
            path for path in kept.grounds.artifacts if now - self._touched.get(path, -TOUCH_SECONDS) >= TOUCH_SECONDS
        ]
        self._touched.update(dict.fromkeys(due, now))
        task = asyncio.create_task(self._touch(store, due))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _touch(self, store: ArtifactStore, due: list[Path]) -> None:
        def touch() -> None:
            for path in due:
                store.touch(path)

        await to_thread.run_sync(touch, limiter=self._limiter)


class HeldAnswer:
    """Holds an answer back until it is whole; passes one that comes in pieces on at once."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.start: Message | None = None
        self.body = b""

    async def __call__(self, message: Message) -> None:
        """Take the next of the answer's messages."""
        if message["type"] == "http.response.start":
            self.start = message
        elif self.start is not None and not message.get("more_body", False):
            self.body = message.get("body", b"")
        else:
            await self.let_go()
            await self._send(message)

    async def let_go(self) -> None:
        """Send the start of the answer that has been held back."""
        if self.start is not None:
            await self._send(self.start)
            self.start = None


class KeptAnswers:
    """Middleware that sends kept answers again, and keeps those that can be kept."""

    def __init__(self, app: ASGIApp, settings: Settings, counts: Counts) -> None:
        self.app, self._counts = app, counts
        self._targets = PageTargets(settings.root_path)
        self._has_public_url = bool(settings.public_url)
        self._allows_jobs = settings.allow_jobs
        self._reuse_seconds = REUSE_SECONDS if settings.public else 0.0
        self._origins = Origins(own_names(settings) or ())
        self._touches = Touches()
        self._codings: dict[bytes, Coding] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request from the cache, or pass it on and keep its answer if that can be kept."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        fields = _read_fields(scope)
        asked = self._key_of(scope, fields)
        if asked is None:
            await self.app(scope, receive, send)
            return
        resources: Resources = scope["app"].state.resources
        kept: KeptAnswer | None = resources.store.memory.get(asked)
        if kept is None or not self._holds(kept):
            self._counts.kept_misses += 1
            await self._make_answer(asked, fields, scope, receive, send)
            return
        self._counts.kept_hits += 1
        self._touches.note(resources.store, kept)
        await _send_kept(kept, fields.known, send)

    def _key_of(self, scope: Scope, fields: DecidingFields) -> AnswerKey | None:
        """Make the key of the request's answer; None if no such answer is ever kept."""
        target = self._targets.read(scope)
        origin = () if self._has_public_url else (scope["scheme"], fields.host or scope["server"])
        if target is None or not (
            self._has_public_url or self._origins.admit(fields.host, scope["scheme"], scope["server"] or ("", 0))
        ):
            return None
        coding = self._coding_of(fields.codings)
        if not target.has_parts:
            return AnswerKey(target, "", origin, coding, has_jobs=False)
        part = part_of(Request(scope)) if fields.is_of_htmx else ""
        has_jobs = self._allows_jobs or not scope["app"].state.resources.jobs.is_empty()
        return AnswerKey(target, part, origin, coding, has_jobs)

    def _coding_of(self, accepted: bytes) -> Coding:
        coding = self._codings.get(accepted)
        if coding is None:
            coding = coding_for(accepted.decode("latin-1"))
            if len(self._codings) < MOST_CODINGS:
                self._codings[accepted] = coding
        return coding

    async def _make_answer(
        self, asked: AnswerKey, fields: DecidingFields, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Let the app make the answer, with its body even for a visitor who has it, so that it can be kept."""
        if fields.known and asked.target.is_made_at_once:
            scope = dict(scope) | {"headers": [field for field in scope["headers"] if field[0] != b"if-none-match"]}
        caught, grounds = HeldAnswer(send), Grounds()
        token = GROUNDS.set(grounds)
        try:
            await self.app(scope, receive, caught)
        finally:
            GROUNDS.reset(token)
        if caught.start is None:
            return
        if caught.start["status"] != 200:
            await caught.let_go()
            await send({"type": "http.response.body", "body": caught.body})
            return
        headers: Headers = list(caught.start["headers"])
        tag = next((value for name, value in headers if name == b"etag"), b"")
        now = time.monotonic()
        answer = KeptAnswer(headers, caught.body, tag, grounds, now, now)
        if self._can_be_kept(asked, answer):
            scope["app"].state.resources.store.memory.put(asked, answer, len(repr(asked)) + answer.size)
        await _send_kept(answer, fields.known, send)

    def _can_be_kept(self, asked: AnswerKey, answer: KeptAnswer) -> bool:
        seen = {self._allows_jobs or not is_empty for is_empty in answer.grounds.seen_empty}
        return (
            len(answer.body) <= LARGEST_KEPT
            and seen <= {asked.has_jobs}
            and (b"cache-control", b"no-store") not in answer.headers
            and self._holds(answer)
        )

    def _holds(self, kept: KeptAnswer) -> bool:
        """Return whether the answer would be the same now, or is new enough for who does not need to know."""
        return time.monotonic() - kept.made < self._reuse_seconds or kept.grounds.hold()


def _read_fields(scope: Scope) -> DecidingFields:
    found: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        found[name] = found[name] + b"," + value if name in found else value
    return DecidingFields(
        found.get(b"host", b""),
        found.get(b"accept-encoding", b""),
        found.get(b"if-none-match", b""),
        b"hx-request-type" in found,
    )


async def _send_kept(kept: KeptAnswer, known: bytes, send: Send) -> None:
    """Send a kept answer; 304 without its body where the visitor has that version."""
    if kept.tag and known and has_tag(known.decode("latin-1"), kept.tag.decode("latin-1")):
        headers = [field for field in kept.headers if field[0] not in BODY_HEADERS]
        await send({"type": "http.response.start", "status": 304, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
        return
    await send({"type": "http.response.start", "status": 200, "headers": list(kept.headers)})
    await send({"type": "http.response.body", "body": kept.body})
