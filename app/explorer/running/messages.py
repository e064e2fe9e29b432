"""What a server and its worker say to each other: frames over a stream of bytes, each a message and perhaps bytes.

Plain JSON in bounded frames. What is no frame, or no message, ends the connection: nobody guesses what was meant.
Knows neither what a recipe means nor how anything is made.
"""

import json
import socket
import struct
from contextlib import suppress
from dataclasses import asdict, dataclass
from threading import Lock
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from app.explorer.running.line import Cost
from app.explorer.view import Processing

LENGTHS = struct.Struct(">IQ")
"""Before a frame: bytes of its message, and of what comes with it."""
MOST_WORDS = 2**20
"""Bytes of a message."""
MOST_BYTES = 2**30
"""Bytes that come with one: an artifact."""

NO_MEMORY = "There was not enough free memory to compute this; the server goes on with the rest."

Count = Annotated[int, Field(ge=0, le=10**15)]
Seconds = Annotated[float, Field(ge=0, le=10**9)]
Failure = Literal["option", "memory", "other"]


@dataclass(frozen=True, slots=True)
class Make:
    """To the worker: make this now; what runs is suspended after its step until it is named by `GoOn`."""

    id: Count
    slug: str
    recipe: str
    """In its one spelling."""
    cost: Cost
    seconds: Seconds | None = None
    """After so many of computing it rests until it is named by `GoOn`; None: it does not."""
    kind: Literal["make"] = "make"


@dataclass(frozen=True, slots=True)
class Prepare:
    """To the worker: load the libraries and what this model is read with and judged by."""

    id: Count
    slug: str
    processing: Processing
    cost: Cost
    kind: Literal["prepare"] = "prepare"


@dataclass(frozen=True, slots=True)
class GoOn:
    """To the worker: go on with this, which was suspended or rests."""

    id: Count
    seconds: Seconds | None = None
    kind: Literal["go on"] = "go on"


@dataclass(frozen=True, slots=True)
class Drop:
    """To the worker: forget this, which was begun."""

    id: Count
    kind: Literal["drop"] = "drop"


@dataclass(frozen=True, slots=True)
class Alive:
    """From the worker, every second whatever it does."""

    kind: Literal["alive"] = "alive"


@dataclass(frozen=True, slots=True)
class Stepped:
    """From the worker: a step further."""

    id: Count
    done: Count
    total: Count
    seconds: Seconds = 0.0
    """Of computing, for this step."""
    rests: bool = False
    kind: Literal["stepped"] = "stepped"


@dataclass(frozen=True, slots=True)
class Made:
    """From the worker: it was in the store, or is now; or it comes with this message, since the store did not take it."""

    id: Count
    outcome: Literal["found", "kept", "refused"]
    error: int = 0
    """The system's number for why it was refused."""
    seconds: Seconds = 0.0
    """Of computing, since the last step."""
    kind: Literal["made"] = "made"


@dataclass(frozen=True, slots=True)
class Failed:
    """From the worker: it could not be made. After a failure for want of memory, the worker ends."""

    id: Count
    message: str
    """Fit for visitors."""
    why: Failure
    kind: Literal["failed"] = "failed"


@dataclass(frozen=True, slots=True)
class Logged:
    """From the worker: words for the server's log."""

    level: Count
    name: str
    words: str
    kind: Literal["logged"] = "logged"


Order = Make | Prepare | GoOn | Drop
Report = Alive | Stepped | Made | Failed | Logged
_FORM: TypeAdapter[Order | Report] = TypeAdapter(Annotated[Order | Report, Field(discriminator="kind")])


class Disconnected(Exception):
    """Nobody is at the other end any more, or what came from there is no message."""


class Channel:
    """One end of the connection; any thread may send, one receives."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sending = Lock()

    def send(self, message: Order | Report, data: bytes = b"") -> None:
        """Hand the message over; Disconnected."""
        words = json.dumps(asdict(message)).encode()
        if len(words) > MOST_WORDS or len(data) > MOST_BYTES:
            raise ValueError(f"a message of {len(words)} and {len(data)} bytes is too long")
        try:
            with self._sending:
                self._connection.sendall(LENGTHS.pack(len(words), len(data)) + words)
                if data:
                    self._connection.sendall(data)
        except OSError as error:
            raise Disconnected(str(error)) from error

    def receive(self) -> tuple[Any, bytes]:
        """The next message, an `Order` or a `Report`, and what came with it; Disconnected."""
        n_words, n_bytes = LENGTHS.unpack(self._receive(LENGTHS.size))
        if n_words > MOST_WORDS or n_bytes > MOST_BYTES:
            raise Disconnected(f"a frame of {n_words} and {n_bytes} bytes is none")
        words, data = self._receive(n_words), self._receive(n_bytes)
        try:
            return _FORM.validate_json(words, strict=True), data
        except ValidationError as error:
            raise Disconnected(f"not a message: {words[:100]!r}") from error

    def close(self) -> None:
        """End the connection, also for a thread that waits for a message."""
        with suppress(OSError):  # the other end was quicker
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()

    def _receive(self, size: int) -> bytes:
        received = bytearray(size)
        left = memoryview(received)
        try:
            while left:
                n = self._connection.recv_into(left)
                if not n:
                    raise Disconnected("the other end is gone")
                left = left[n:]
        except OSError as error:
            raise Disconnected(str(error)) from error
        return bytes(received)
