"""Script: test the tokenizer on standard input with the tokenizers library; prints a fault, or nothing.

Run by its path, in a process of its own, since the library ends the process at some files and fills it at others.
Imports nothing of the app.
"""

import contextlib
import json
import resource
import sys

MOST_BYTES = 4 * 2**30
"""Bytes of address space: far more than the library ever used for a real tokenizer."""


def find_fault(raw: bytes) -> str:
    """Find the tokenizer's fault; empty if the library reads it as it was meant."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_buffer(raw)
    except Exception as error:  # the library raises bare Exception
        return ascii(str(error)[:200])[1:-1]
    for token in json.loads(raw).get("added_tokens") or []:
        # The library numbers added tokens itself, whatever ids the file gives them.
        if tokenizer.id_to_token(token["id"]) != token["content"]:
            actual = tokenizer.token_to_id(token["content"])
            return (
                f"it says that {ascii(token['content'])[:60]} is {token['id']}, the tokenizers library reads {actual}"
            )
    return ""


def limit_process() -> None:
    """Limit this process's memory, and leave no core dump behind if it breaks."""
    for what, most in ((resource.RLIMIT_AS, MOST_BYTES), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(ValueError, OSError):  # not every system can, or allows it
            resource.setrlimit(what, (most, most))


if __name__ == "__main__":
    limit_process()
    print(find_fault(sys.stdin.buffer.read()))
