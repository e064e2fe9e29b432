"""What is kept in memory besides the disk, within one budget of bytes: what was used last stays.

For any number of threads. Knows nothing of what it keeps; who puts something in says how large it is.
"""

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Any

OVERHEAD = 400
"""Bytes that an entry takes besides what it holds: its place in the order, its key, its lengths."""


GROWS = 1.45
"""Bytes that a process grows by for each that is said: objects and their gaps. SmolLM2's heads took 183 MiB where arrays
and answers were 128."""


class Memory:
    """Values by key, the least recently used dropped beyond the budget; what was put in last stays however large."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._entries: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def get(self, key: Hashable) -> Any:
        """The value, noted as used; None where there is none."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            self._entries.move_to_end(key)
            return entry[0]

    def put(self, key: Hashable, value: Any, size: int) -> None:
        """Keep the value, of so many bytes, in the place of what has that key."""
        with self._lock:
            self._drop(key)
            taken = int(GROWS * size) + OVERHEAD
            self._entries[key] = value, taken
            self._bytes += taken
            while self._bytes > self._most and len(self._entries) > 1:
                self._drop(next(iter(self._entries)))

    def drop(self, key: Hashable) -> None:
        """Keep what has that key no longer."""
        with self._lock:
            self._drop(key)

    @property
    def used(self) -> int:
        """Bytes that are kept."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._entries)

    def _drop(self, key: Hashable) -> None:
        self._bytes -= self._entries.pop(key, (None, 0))[1]
