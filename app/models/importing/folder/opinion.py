"""A script: what the tokenizers library makes of the tokenizer on standard input; prints a fault, or nothing.

Run by its path, in a process of its own, since the library ends the process at some files and fills it at others.
Imports nothing of the app.
"""

import contextlib
import json
import resource
import sys

MOST_BYTES = 4 * 2**30
"""Of address space: more than the library ever used for a real tokenizer, by far."""


def fault(raw: bytes) -> str:
    """What is wrong with the tokenizer; empty if the library reads it as it was meant."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_buffer(raw)
    except Exception as error:  # the library raises bare Exception
        return ascii(str(error)[:200])[1:-1]
    for token in json.loads(raw).get("added_tokens") or []:
        # The library counts added tokens itself, whatever ids are written beside them.
        if tokenizer.id_to_token(token["id"]) != token["content"]:
            actual = tokenizer.token_to_id(token["content"])
            return (
                f"it says that {ascii(token['content'])[:60]} is {token['id']}, the tokenizers library reads {actual}"
            )
    return ""


def bound() -> None:
    """Let this process have so much memory and no more, and leave nothing behind if it breaks."""
    for what, most in ((resource.RLIMIT_AS, MOST_BYTES), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(ValueError, OSError):  # not every system can, or lets us
            resource.setrlimit(what, (most, most))


if __name__ == "__main__":
    bound()
    print(fault(sys.stdin.buffer.read()))
