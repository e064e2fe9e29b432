"""A memory of values within one budget of bytes, beside the disk: the least recently used are dropped.

Any number of threads may use it. Knows nothing of its values; the caller says how large each is.
"""

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Any

ENTRY_OVERHEAD = 400
"""Bytes that an entry takes besides its value: its place in the order, its key, its lengths."""


GROWTH_FACTOR = 1.45
"""Bytes that a process grows by for each counted byte: objects and their gaps. SmolLM2's heads took 183 MiB where
arrays and answers were 128."""


class Memory:
    """Values by key, the least recently used dropped beyond the budget; the last one stays however large."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._entries: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def get(self, key: Hashable) -> Any:
        """Return the value, and mark it as used; None where there is none."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            self._entries.move_to_end(key)
            return entry[0]

    def put(self, key: Hashable, value: Any, size: int) -> None:
        """Keep the value, of so many bytes, replacing the key's last one."""
        with self._lock:
            self._drop(key)
            taken = int(GROWTH_FACTOR * size) + ENTRY_OVERHEAD
            self._entries[key] = value, taken
            self._bytes += taken
            while self._bytes > self._most and len(self._entries) > 1:
                self._drop(next(iter(self._entries)))

    def drop(self, key: Hashable) -> None:
        """Drop the key's value."""
        with self._lock:
            self._drop(key)

    @property
    def used(self) -> int:
        """Bytes of the values that are kept."""
        return self._bytes

    def used_by(self, kind: type) -> tuple[int, int]:
        """Count the values whose keys are of that type, and their bytes."""
        with self._lock:
            sizes = [taken for key, (_, taken) in self._entries.items() if isinstance(key, kind)]
        return len(sizes), sum(sizes)

    def __len__(self) -> int:
        return len(self._entries)

    def _drop(self, key: Hashable) -> None:
        self._bytes -= self._entries.pop(key, (None, 0))[1]
