"""The messages between a server and its worker: frames over a stream of bytes, each with JSON and perhaps binary data.

The JSON is plain, the frames bounded. Anything else ends the connection: nobody guesses what was meant. Knows neither
what a recipe means nor how anything is made.
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

FRAME_HEAD = struct.Struct(">IQ")
"""The head of a frame: bytes of its message, and of its data."""
MOST_WORDS = 2**20
"""The most bytes of a message."""
MOST_BYTES = 2**30
"""The most bytes of a frame's data: an artifact."""

NO_MEMORY = "There was not enough free memory to compute this; the server goes on with the rest."

Count = Annotated[int, Field(ge=0, le=10**15)]
Seconds = Annotated[float, Field(ge=0, le=10**9)]
Failure = Literal["option", "memory", "other"]


@dataclass(frozen=True, slots=True)
class Make:
    """To the worker: make this now; the running computation is suspended after its step until a `GoOn` names it."""

    id: Count
    slug: str
    recipe: str
    """The recipe in its one spelling."""
    cost: Cost
    seconds: Seconds | None = None
    """Seconds of computing after which it pauses until a `GoOn` names it; None: it never pauses."""
    kind: Literal["make"] = "make"


@dataclass(frozen=True, slots=True)
class Prepare:
    """To the worker: load the libraries, and this model's token tables and controls."""

    id: Count
    slug: str
    processing: Processing
    cost: Cost
    kind: Literal["prepare"] = "prepare"


@dataclass(frozen=True, slots=True)
class GoOn:
    """To the worker: go on with this computation, which was suspended or paused."""

    id: Count
    seconds: Seconds | None = None
    kind: Literal["go on"] = "go on"


@dataclass(frozen=True, slots=True)
class Drop:
    """To the worker: forget this computation, which was begun."""

    id: Count
    kind: Literal["drop"] = "drop"


@dataclass(frozen=True, slots=True)
class Alive:
    """From the worker, every second whatever it does."""

    kind: Literal["alive"] = "alive"


@dataclass(frozen=True, slots=True)
class Stepped:
    """From the worker: the computation made a step."""

    id: Count
    done: Count
    total: Count
    seconds: Seconds = 0.0
    """Seconds of computing for this step."""
    rests: bool = False
    so_far: tuple[int, ...] = ()
    """What the computation has found so far, as numbers of its own; empty for most kinds."""
    kind: Literal["stepped"] = "stepped"


@dataclass(frozen=True, slots=True)
class Made:
    """From the worker: the artifact was in the store, or is now; or it is this frame's data, since the store refused
    it.
    """

    id: Count
    outcome: Literal["found", "kept", "refused"]
    error: int = 0
    """The system's error number of the refusal."""
    seconds: Seconds = 0.0
    """Seconds of computing since the last step."""
    kind: Literal["made"] = "made"


@dataclass(frozen=True, slots=True)
class Failed:
    """From the worker: the computation failed. After a failure for want of memory, the worker ends."""

    id: Count
    message: str
    """The reason, fit for visitors."""
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
_MESSAGES: TypeAdapter[Order | Report] = TypeAdapter(Annotated[Order | Report, Field(discriminator="kind")])


class Disconnected(Exception):
    """The other end of the connection is gone, or sent something that is no message."""


class Channel:
    """One end of the connection; any thread may send, one receives."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sending = Lock()

    def send(self, message: Order | Report, data: bytes = b"") -> None:
        """Send the message and its data; Disconnected."""
        words = json.dumps(asdict(message)).encode()
        if len(words) > MOST_WORDS or len(data) > MOST_BYTES:
            raise ValueError(f"a message of {len(words)} and {len(data)} bytes is too long")
        try:
            with self._sending:
                self._connection.sendall(FRAME_HEAD.pack(len(words), len(data)) + words)
                if data:
                    self._connection.sendall(data)
        except OSError as error:
            raise Disconnected(str(error)) from error

    def receive(self) -> tuple[Any, bytes]:
        """Receive the next message, an `Order` or a `Report`, and its data; Disconnected."""
        n_words, n_bytes = FRAME_HEAD.unpack(self._receive(FRAME_HEAD.size))
        if n_words > MOST_WORDS or n_bytes > MOST_BYTES:
            raise Disconnected(f"a frame of {n_words} and {n_bytes} bytes is none")
        words, data = self._receive(n_words), self._receive(n_bytes)
        try:
            return _MESSAGES.validate_json(words, strict=True), data
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
