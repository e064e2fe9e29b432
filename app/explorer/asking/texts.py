"""A text of the operator's, cut into windows of tokens for statistics of use. Knows no file and no numbers."""

from app.explorer.layout import USE_TOKENS, USE_WINDOWS
from app.explorer.library import OpenModel

MOST_BYTES = 16 * 2**20
"""Bytes of a text that are read: more would take long to cut, and only some thousand tokens are run."""
LEAST_TOKENS = 16
"""Tokens of the shortest window."""


class TextRefused(ValueError):
    """The text cannot be used; the message says why."""


def cut_windows(model: OpenModel, content: bytes) -> list[list[int]]:
    """Cut a text into windows of as many tokens as are run at once, evenly spread over it; TextRefused."""
    if len(content) > MOST_BYTES:
        raise TextRefused(f"a text has at most {MOST_BYTES // 2**20} MiB here, and this one {len(content) / 2**20:.0f}")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise TextRefused(f"it is no text in UTF-8: byte {error.start} makes no character") from None
    ids = model.tokenize_whole(text)
    size = min(USE_TOKENS, model.manifest.n_ctx, len(ids) // USE_WINDOWS)
    if size < LEAST_TOKENS:
        raise TextRefused(
            f"it has {len(ids):,} tokens: at least {USE_WINDOWS * LEAST_TOKENS:,} are needed, and "
            f"{USE_WINDOWS * min(USE_TOKENS, model.manifest.n_ctx):,} are run"
        )
    spare = len(ids) - USE_WINDOWS * size
    starts = [number * size + spare * number // max(1, USE_WINDOWS - 1) for number in range(USE_WINDOWS)]
    return [ids[start : start + size] for start in starts]
